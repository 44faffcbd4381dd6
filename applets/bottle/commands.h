/*
 * Every command of the launcher: COMMAND(name, its struct command). One line each, in the order of
 * help.
 */
COMMAND(start, command_bottle_start)
COMMAND(list, command_bottle_list)
COMMAND(logs, command_bottle_logs)
COMMAND(stop, command_bottle_stop)
COMMAND(cleanup, command_bottle_cleanup)
COMMAND(info, command_bottle_info)
COMMAND(init, command_bottle_init)
COMMAND(doctor, command_bottle_doctor)
COMMAND(install, command_bottle_install)
COMMAND(ca, applet_bottle_ca)
COMMAND(help, command_bottle_help)
COMMAND(licenses, command_bottle_licenses)
COMMAND(version, command_bottle_version)
