/*
 * For clang-tidy only (make lint). Its analyzer sees one file at a time, so it would follow a path
 * on which err_set() of another file returned 0.
 */
#ifndef SCRIPTS_ANALYZER_HINTS_H
#define SCRIPTS_ANALYZER_HINTS_H

#include "base/err.h"
#include "base/schema.h"

/* The file that defines a function must not see its macro. */
#ifndef HINTS_IN_err
#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_wrap(...) (err_wrap(__VA_ARGS__), -1)
#define err_sys(...) (err_sys(__VA_ARGS__), -1)
#endif
#ifndef HINTS_IN_schema
#define schema_error(...) (schema_error(__VA_ARGS__), -1)
#endif

#endif
