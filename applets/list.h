/*
 * Every applet: APPLET(file name, its struct command). One line each, in the order of help.
 * The Makefile makes a symlink of every name.
 */
APPLET(bottle, applet_bottle)
