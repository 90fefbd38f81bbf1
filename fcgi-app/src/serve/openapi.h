/* openapi.h - the OpenAPI document of the HTTP interface: openapi.json beside this file, which the Makefile makes a C array of */
#ifndef FUTAIE_OPENAPI_H
#define FUTAIE_OPENAPI_H

#include <stddef.h>

/* JSON in UTF-8 with futaie's version in it, and without a NUL behind it. */
extern const unsigned char openapi_text[];
extern const size_t openapi_len;

#endif
