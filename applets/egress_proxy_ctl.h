/*
 * egress_proxy_ctl: `egress-proxy ctl …`, which talks to a running egress-proxy over its control
 * socket (proxy/control.h).
 */
#ifndef BOTTLE_APPLETS_EGRESS_PROXY_CTL_H
#define BOTTLE_APPLETS_EGRESS_PROXY_CTL_H

#include "applet.h"

extern const struct command egress_proxy_ctl;

#endif
