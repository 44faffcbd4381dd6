/*
 * banned: calls that may not appear in this program; included by the compiler for every file.
 */
#ifndef BOTTLE_BASE_BANNED_H
#define BOTTLE_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef alloca /* a macro in both C libraries, which may not be poisoned as such */

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll sscanf system popen alloca tmpnam mktemp

#endif
