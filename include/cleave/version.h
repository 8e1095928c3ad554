/* SPDX-License-Identifier: Apache-2.0 */
/* Which cleave this is. */
#ifndef CLEAVE_VERSION_H
#define CLEAVE_VERSION_H

#include "cleave/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0", of the library that is linked. Static storage. Reentrant. */
CLV_API const char *clv_version(void);

#ifdef __cplusplus
}
#endif
#endif
