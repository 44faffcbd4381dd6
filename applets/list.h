/*
 * Every applet: APPLET(file name, its struct command). One line each, in the order of help; the
 * launcher is first. The Makefile makes a symlink of every name.
 */
/* It would take '-' in a name for a minus. */
/* clang-format off */
APPLET(bottle, applet_bottle)
APPLET(egress-proxy, applet_egress_proxy)
APPLET(bottle-ca, applet_bottle_ca)
APPLET(agent-init, applet_agent_init)
/* clang-format on */
