/* version.h - the version of futaie (SemVer) */
#ifndef FUTAIE_VERSION_H
#define FUTAIE_VERSION_H

#define FUTAIE_VERSION "0.1.0"

#endif
