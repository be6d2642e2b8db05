/* The function of the C library that one of ours stands before. */

#include <dlfcn.h>

#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&name) found;                                                            \
        if (!found)                                                                                \
            found = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                    \
        found;                                                                                     \
    })
