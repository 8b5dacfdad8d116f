/* A disk that takes its time: every sync lasts 10 ms longer. What is acknowledged before it is written is then nearly always found out by a kill. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#define SLOW(name)                                                                                                                                   \
    int name(int file) {                                                                                                                             \
        usleep(10000);                                                                                                                               \
        return ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(file);                                                                                   \
    }
SLOW(fsync)
SLOW(fdatasync)
