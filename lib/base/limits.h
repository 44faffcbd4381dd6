/*
 * limits: every maximum in one place, by module, with its unit and why.
 */
#ifndef BOTTLE_BASE_LIMITS_H
#define BOTTLE_BASE_LIMITS_H

#include <stddef.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* base */
#define BUF_KEEP KIB(16)     /* an emptied buffer larger than this gives its memory back */
#define BUF_BLOCK KIB(128)   /* and one that outgrows that goes on with this */
#define BUF_SPARE_MAX 8      /* of which some are kept for the next */
#define JSON_TEXT_MAX MIB(4) /* one document: a bundle with a system CA file is about 300 KiB */
#define JSON_DEPTH_MAX 64
#define JSON_NODES_MAX 50000 /* values in one document; bounds its memory to about 15 MiB */
#define YAML_TEXT_MAX MIB(1)
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 20000
#define ARENA_BLOCK_MIN KIB(1)  /* first block of an arena; each next one doubles */
#define ARENA_BLOCK_MAX KIB(64) /* until here */
#define ARENA_KEEP KIB(16)      /* a block up to this size survives a reset */
#define GLOB_WORD_MAX 64        /* longer words get no "did you mean" */
#define LOG_LINE_MAX KIB(2)     /* one line of talk, before escaping */
#define LOG_EVENT_MAX KIB(16)   /* one event line with its newline */
#define LOG_EVENT_USUAL 512     /* what most need */
#define OPTS_LIST_MAX 64        /* values of one repeatable option */

/* http: heads (RFC 9112 leaves the numbers to us; 431/400 past them) */
#define HTTP_HEAD_MAX KIB(64)          /* request or status line + fields + final CRLF */
#define HTTP_LINE_MAX KIB(16)          /* request line: longer targets are refused */
#define HTTP_FIELDS_MAX 200            /* fields in one head or trailer section */
#define HTTP_TRAILER_MAX KIB(8)        /* trailer section */
#define HTTP_CHUNK_LINE_MAX 256        /* chunk-size line with extensions */
#define HTTP_INTERIM_MAX 20            /* 1xx responses before the final one */
#define HTTP_CONNECTION_OPTIONS_MAX 32 /* names in one message's Connection fields */
#define HTTP_ARENA_MAX KIB(192) /* one message: its head, the field table, what policy edits */

/* http: connections */
#define H1_DIRECT_MIN KIB(8) /* body pieces from here on are written from where they lie */
#define HTTP_LINGER_MS 5000  /* after our last byte: time for the peer to read it (RFC 9112 9.6) */
#define HTTP_LINGER_MAX_MS 30000 /* the same for a peer that goes on sending meanwhile */

/* http: HTTP/2 connections (RFC 9113) */
#define H2_STREAMS_MAX 128        /* open at the same time, announced to clients */
#define H2_CLIENT_STREAMS_MAX 32  /* that we open on one connection to a server */
#define H2_SERVER_WINDOW KIB(256) /* unread bytes of one request */
#define H2_CLIENT_WINDOW MIB(1)   /* of one response: the way to a server is longer */
/* Of a connection: all its streams may be paused with a full window, and one more still moves. */
#define H2_SERVER_CONN_WINDOW (H2_STREAMS_MAX * H2_SERVER_WINDOW)
#define H2_CLIENT_CONN_WINDOW (H2_CLIENT_STREAMS_MAX * H2_CLIENT_WINDOW)
#define H2_QUEUED_HIGH MIB(2)      /* of all streams: above it each keeps PROXY_OUT_SHORT only */
#define H2_OUT_FILL KIB(64)        /* frames made ahead of the socket: one TLS write */
#define H2_QUEUE_MAX 2000          /* frames that wait for a peer who does not read */
#define H2_HEAD_WASTE_MAX MIB(1)   /* a head that unpacks to more is an attack, not a mistake */
#define H2_CONTINUATIONS_MAX 16    /* frames of one head after its first */
#define H2_SETTINGS_MAX 32         /* entries of one SETTINGS frame */
#define H2_PATIENCE 5000           /* what a peer may do wrong or in vain, and */
#define H2_PATIENCE_PER_SECOND 500 /* how fast that is forgiven; costs: */
#define H2_COST_RESET 5            /* a stream reset, refused or malformed */
#define H2_COST_SETTINGS 5         /* a SETTINGS frame */
#define H2_COST_FRAME 1            /* PING, empty DATA, PRIORITY */

/* http: the small server */
#define HTTP_SERVER_CONNS_MAX 256
#define HTTP_SERVER_HEAD_MS (10 * 1000)
#define HTTP_SERVER_IDLE_MS (60 * 60 * 1000) /* an answer may wait for a person */
#define HTTP_SERVER_KEEPALIVE_MS (60 * 1000)

/* proxy: buffers of one connection, bytes */
#define PROXY_READ_SIZE KIB(16)      /* one read; the size of a TLS record */
#define PROXY_BODY_READ_SIZE KIB(64) /* of a body, while there is memory; it goes on in one write */
#define PROXY_OUT_HIGH KIB(256) /* stop reading the other side above this; a quarter of it: go on */
#define PROXY_OUT_SHORT KIB(32) /* the same when memory is short */
#define PROXY_OUT_MAX MIB(1)    /* hard maximum of one output buffer */

/*
 * proxy: all connections together. Of PLAN_SIDECAR_MEMORY_MIB a quarter is left to the kernel, for
 * sockets. A connection's cost is what it holds besides its buffers and arenas, measured; that of
 * an exchange has in it what its buffers may still take in after memory became scarce: one read on
 * each side.
 */
#define PROXY_MEMORY_MAX MIB(768)
#define PROXY_CONN_COST KIB(4)      /* a client connection as it is accepted, */
#define PROXY_TLS_COST KIB(22)      /* and the TLS in its tunnel */
#define PROXY_H2_COST KIB(12)       /* and HTTP/2 in that */
#define PROXY_EXCHANGE_COST KIB(64) /* with its connection to the upstream */
#define BUDGET_SHORT_EIGHTHS 4      /* of the maximum; see budget.h */
#define BUDGET_SCARCE_EIGHTHS 6
#define PROXY_CONNS_MAX 20000   /* client connections; one more gets 503 */
#define PROXY_REFUSALS_MAX 1024 /* those who are just told so; one more is told in passing */

/* proxy: connections to upstreams that are kept */
#define POOL_IDLE_MAX 256        /* over all hosts; past it the longest idle one goes */
#define POOL_IDLE_MS (60 * 1000) /* servers keep theirs 5 to 120 s */
#define POOL_FRESH_MS (4 * 1000) /* idle at most, for what may not be sent twice */

/* proxy: what an event shows of a request; all of it, escaped, fits LOG_EVENT_MAX */
#define EVENT_METHOD_MAX 64
#define EVENT_PATH_MAX KIB(4)

/* proxy: the control socket */
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_TIMEOUT_MS (10 * 1000)
#define CONTROL_LIST_MAX 1000          /* entries of one list: a few ms to make, 300 KiB of text */
#define CONTROL_LEVEL_SECONDS_MAX 3600 /* so long another log level lasts */

/* proxy: times, milliseconds */
#define PROXY_HEAD_TIMEOUT_MS (60 * 1000)      /* a request head, from its first byte or accept */
#define PROXY_HANDSHAKE_TIMEOUT_MS (30 * 1000) /* TLS on either side */
#define PROXY_CONNECT_TIMEOUT_MS (10 * 1000)   /* TCP, each address */
#define PROXY_IDLE_TIMEOUT_MS (60 * 60 * 1000) /* both directions silent, exchange open */
#define PROXY_IDLE_GRACE_MS (5 * 1000) /* the client waits longer, to be told of the upstream's */
#define PROXY_KEEPALIVE_TIMEOUT_MS (60 * 60 * 1000) /* a client connection between requests */
#define PROXY_DRAIN_MS (5 * 1000)                   /* TERM: in-flight exchanges may finish */

/* sys */
#define LOOP_BATCH 256       /* events taken from the kernel in one round */
#define FD_READ_SIZE KIB(16) /* one read of a file or pipe that is read whole */
#define FILE_LOCK_TRIES 100  /* lock files that vanish between open and flock */
#define JOB_OUT_MAX MIB(4)   /* standard output of one job */
#define JOB_ERR_MAX KIB(64)  /* its standard error: what is more is dropped */
#define JOB_READ_SIZE KIB(16)
#define JOB_FEED_MAX KIB(256) /* one piece of a job's input */
#define TTY_LINE_MAX 4096     /* a line of a terminal with its end: termios(3) */

/* policy */
#define ROUTES_MAX 1000       /* routes in one table */
#define ROUTE_LIST_MAX 1000   /* paths or methods of one route */
#define ROUTE_TEXT_MAX KIB(2) /* one path, host, method, scheme */

/* ca */
#define CA_PEM_MAX KIB(64)    /* a file with a certificate, a key, or both */
#define CA_DER_MAX KIB(20)    /* one certificate or key that we write */
#define CA_NAMES_MAX 64       /* names in one leaf; all at their longest fit CA_DER_MAX */
#define CA_COMMON_NAME_MAX 64 /* X.520 ub-common-name */
#define CA_DAYS_MAX 3650
#define CA_LEAF_DAYS_MAX 397 /* what browsers accept of a server certificate */
#define CA_MINT_DAYS 30      /* leaves of a proxy; renewed by the leaf cache */

/* applets */
#define COMMANDS_MAX 128       /* names a did-you-mean chooses from */
#define HELP_TEXT_MAX KIB(256) /* help, manual page */

/* manifest */
#define MANIFEST_FILE_MAX MIB(1) /* one bottle or agent file; the body is a system prompt */
#define MANIFEST_NAME_MAX \
	32 /* bytes: "bottle-egress-proxy-" + identity + "-99" is a DNS label (63) */
#define MANIFEST_EXTENDS_DEPTH 16      /* levels of parents */
#define MANIFEST_EXTENDS_MAX 64        /* bottles read for one */
#define MANIFEST_LIST_MAX 1000         /* entries of one list of a bottle */
#define MANIFEST_ENV_VALUE_MAX KIB(32) /* one value of `env` */
#define MANIFEST_TEXT_MAX KIB(4)       /* one scalar of a bottle: path, URL, command argument */
#define SECRET_MAX KIB(32)             /* one credential or secret environment value */
#define PLAN_AGENT_PIDS 4096           /* a build with many jobs fits, a fork bomb does not */
#define PLAN_AGENT_MEMORY_MIB 8192
#define PLAN_SIDECAR_PIDS 64         /* one process and its resolver threads; git-gate a few more */
#define PLAN_SIDECAR_MEMORY_MIB 1024 /* PROXY_CONNS_MAX connections, idle, and some busy ones */
#define PLAN_TEXT_MAX MIB(4)         /* the JSON or text form of a plan */
#define BUNDLE_MAX MIB(4)            /* = JSON_TEXT_MAX, what the reader takes */

/* net: accepting and lookups */
#define LISTEN_BATCH 64         /* connections accepted before other descriptors get their turn */
#define LISTEN_PAUSE_MS 100     /* no accepting after descriptors ran out */
#define TCP_PROBE_AFTER_S 120   /* of silence is a peer asked whether it is there, */
#define TCP_PROBE_EVERY_S 30    /* again after this, */
#define TCP_PROBES 4            /* and given up after so many */
#define TCP_UNSENT_MAX KIB(128) /* bytes that the kernel holds for a peer with no window */
#define RESOLVE_THREADS 4       /* getaddrinfo at the same time */
#define RESOLVE_STACK KIB(256)  /* stack of such a thread; musl's getaddrinfo takes about 20 KiB */
#define RESOLVE_CACHE_MAX 1024  /* names known or being looked up */
#define RESOLVE_TTL_MS (30 * 1000) /* getaddrinfo tells no TTL: short, as for names that move */
#define RESOLVE_NEG_TTL_MS (2 * 1000)
#define RESOLVE_NAME_MAX 253 /* RFC 1035 2.3.4, as text without the final dot */

/* net: dialling */
#define DIAL_ADDRS_MAX 16   /* = RESOLVE_ADDRS_MAX */
#define DIAL_STAGGER_MS 250 /* RFC 8305 5: "Connection Attempt Delay" */

/* net: TLS */
#define TLS_CHAIN_MAX 10               /* certificates in a verified chain, both ends included */
#define TLS_CHAIN_SENT_MAX 16          /* certificates of a peer among which a way is sought */
#define TLS_EXTENSIONS_MAX 64          /* in one certificate; usual are about ten */
#define TLS_CHAIN_TRIES 6              /* ways that are tried; each costs some signatures */
#define TLS_ALPN_MAX 4                 /* protocols in one ALPN list */
#define TLS_TICKET_SECONDS (8 * 3600)  /* session tickets we give; keys change twice as often */
#define TLS_RESUME_SECONDS (24 * 3600) /* a certificate is looked at once a day (RFC 5246 F.1.4) */
#define TLS_SESSIONS_MAX 256           /* to be resumed, about 0.5 to 3 KiB each */
#define TLS_SESSIONS_PER_SCOPE 4       /* TLS 1.3 tickets, each good for one connection */
#define TLS_TICKET_MAX KIB(4)          /* it goes into our hello, which is one record */
#define TLS_READ_MAX KIB(64)           /* asked of below at once; one buffer for the process */
#define TLS_READ_BUDGET KIB(16)        /* read without data for the caller; then others' turn */
#define TLS_WRITE_MAX KIB(64)          /* bytes taken by one write, sent as records in one piece */
#define TLS_HELD_MAX KIB(128)          /* records that wait for the socket: one write, and alerts */
#define TLS_CA_FILE_MAX MIB(4)         /* PEM bundle: Debian's is 220 KiB */

/* docker */
#define TAR_PIECE KIB(64)        /* of an archive that is made while it is sent */
#define TAR_DEPTH_MAX 128        /* directories below each other; one descriptor each */
#define TAR_PATH_MAX KIB(8)      /* path of a member, target of a symlink */
#define TAR_REPLACED_MAX KIB(64) /* a file whose content is replaced on the way */

/* backend */
#define PROGRAM_MAX MIB(64)      /* our own binary; with sanitizers it is large */
#define BATCH_MAX 16             /* calls of the engine's client at the same time */
#define WORKTREES_MAX 9          /* directories copied into a box: the work tree and eight skills */
#define SERVICE_LINE_MAX KIB(16) /* = LOG_EVENT_MAX: one line of a sidecar */
#define SERVICE_SAID_MAX KIB(8)  /* what it said on stderr: the first and last words of it */
#define SERVICE_READY_MS (30 * 1000)
#define SERVICE_END_MS (7 * 1000) /* after its lease: PROXY_DRAIN_MS and a little */
#define SERVICE_RESTARTS 5        /* in SERVICE_RESTART_WINDOW_MS; then the bottle ends */
#define SERVICE_RESTART_WINDOW_MS (60 * 1000)
#define GITCONFIG_MAX KIB(64) /* = TAR_REPLACED_MAX */

#define PROVISION_MAX (BUNDLE_MAX + KIB(64)) /* the agent's bundle and what surrounds it */
#define PROBE_TIMEOUT_MS 5000
#define PROBE_GATEWAY_MS 200   /* a bridge of this host answers in less than one */
#define SYSTEM_FILE_MAX MIB(4) /* a file of the image that is read whole: CA bundle, passwd */

#endif
