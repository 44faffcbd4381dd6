/*
 * Every command of the launcher: COMMAND(name, its struct command). One line each, in the order of
 * help.
 */
COMMAND(ca, applet_bottle_ca)
COMMAND(help, command_bottle_help)
COMMAND(licenses, command_bottle_licenses)
COMMAND(start, command_bottle_start)
COMMAND(version, command_bottle_version)
