/* Notes, in order, everything that a process does to the files of one directory: preloaded into it, for power-loss.test.ts.
 *
 * RECORDED_ROOT: the directory. RECORDED_LOG: where the notes go, one after the other:
 *   operation (1 byte), descriptor (4), number (8), length of the text (4), text
 * Each call is made and noted under one lock, so that the order of the notes is the order in which the kernel saw the calls. What the process
 * writes to its standard output is noted as well: it is what the process has promised.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define LOG_DESCRIPTOR 500

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char tracked[DESCRIPTORS];
static off_t positions[DESCRIPTORS];
static const char *root;
static size_t root_length;
static int log_file = -1;

static void fail(const char *why) {
    dprintf(2, "recorder: %s\n", why);
    _exit(99);
}

static void put(const void *bytes, size_t length) {
    if (syscall(SYS_write, log_file, bytes, length) != (long)length) fail("the notes can't be written");
}

/* One write for each note: a process that is killed leaves at most the end of one. */
static void note(char operation, int descriptor, int64_t number, const void *text, size_t length) {
    static char buffer[1 << 20];
    if (log_file < 0) return;
    uint32_t size = (uint32_t)length;
    int32_t file = descriptor;
    size_t head = 0;
    memcpy(buffer + head, &operation, 1), head += 1;
    memcpy(buffer + head, &file, 4), head += 4;
    memcpy(buffer + head, &number, 8), head += 8;
    memcpy(buffer + head, &size, 4), head += 4;
    if (head + length > sizeof buffer) {
        put(buffer, head);
        put(text, length);
        return;
    }
    memcpy(buffer + head, text, length);
    put(buffer, head + length);
}

static void note_path(char operation, int descriptor, int64_t number, const char *path) { note(operation, descriptor, number, path, strlen(path)); }

static int is_ours(const char *path) { return root != NULL && strncmp(path, root, root_length) == 0; }
static int is_tracked(int file) { return file >= 0 && file < DESCRIPTORS && tracked[file]; }

__attribute__((constructor)) static void begin(void) {
    root = getenv("RECORDED_ROOT");
    const char *path = getenv("RECORDED_LOG");
    if (root == NULL || path == NULL) return;
    root_length = strlen(root);
    int opened = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_file = (int)syscall(SYS_fcntl, opened, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR);
    if (log_file < 0) fail("the notes can't be opened");
    syscall(SYS_close, opened);
    note('S', 0, 0, "", 0);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* No signal comes while the lock is held: a handler that writes, as libuv's does, would wait for the thread that it has interrupted. */
#define LOCKED(...)                                                                                                                                  \
    sigset_t all, before;                                                                                                                            \
    sigfillset(&all);                                                                                                                                \
    pthread_sigmask(SIG_SETMASK, &all, &before);                                                                                                     \
    pthread_mutex_lock(&lock);                                                                                                                       \
    int saved = 0;                                                                                                                                   \
    __VA_ARGS__ saved = errno;                                                                                                                       \
    pthread_mutex_unlock(&lock);                                                                                                                     \
    pthread_sigmask(SIG_SETMASK, &before, NULL);                                                                                                     \
    errno = saved

static int opening(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...)) {
    int file;
    LOCKED({
        file = real(path, flags, mode);
        if (file >= 0 && file < DESCRIPTORS) {
            tracked[file] = (char)is_ours(path);
            positions[file] = 0;
            if (tracked[file]) note_path('O', file, flags, path);
        }
    });
    return file;
}

#define OPEN(name)                                                                                                                                   \
    int name(const char *path, int flags, ...) {                                                                                                     \
        va_list words;                                                                                                                               \
        va_start(words, flags);                                                                                                                      \
        mode_t mode = va_arg(words, mode_t);                                                                                                         \
        va_end(words);                                                                                                                               \
        return opening(path, flags, mode, REAL(name));                                                                                               \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    int result;
    LOCKED({
        if (is_tracked(file)) note('C', file, 0, "", 0);
        if (file >= 0 && file < DESCRIPTORS) tracked[file] = 0;
        result = REAL(close)(file);
    });
    return result;
}

static void wrote(int file, const void *bytes, ssize_t length, off_t at) {
    if (length > 0) note('W', file, at, bytes, (size_t)length);
}

ssize_t write(int file, const void *bytes, size_t length) {
    ssize_t result;
    LOCKED({
        result = REAL(write)(file, bytes, length);
        if (result > 0 && file == 1) note('A', 1, 0, bytes, (size_t)result);
        if (is_tracked(file) && result > 0) {
            wrote(file, bytes, result, positions[file]);
            positions[file] += result;
        }
    });
    return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    ssize_t result;
    LOCKED({
        result = REAL(pwrite64)(file, bytes, length, at);
        if (is_tracked(file)) wrote(file, bytes, result, at);
    });
    return result;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    ssize_t result;
    LOCKED({
        result = REAL(writev)(file, parts, count);
        ssize_t left = result;
        for (int n = 0; n < count && left > 0; n++) {
            ssize_t part = left < (ssize_t)parts[n].iov_len ? left : (ssize_t)parts[n].iov_len;
            if (file == 1) note('A', 1, 0, parts[n].iov_base, (size_t)part);
            if (is_tracked(file)) {
                wrote(file, parts[n].iov_base, part, positions[file]);
                positions[file] += part;
            }
            left -= part;
        }
    });
    return result;
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    ssize_t result;
    LOCKED({
        result = REAL(pwritev64)(file, parts, count, at);
        ssize_t left = is_tracked(file) ? result : 0;
        for (int n = 0; n < count && left > 0; n++) {
            ssize_t part = left < (ssize_t)parts[n].iov_len ? left : (ssize_t)parts[n].iov_len;
            wrote(file, parts[n].iov_base, part, at);
            at += part;
            left -= part;
        }
    });
    return result;
}

int ftruncate64(int file, off64_t length) {
    int result;
    LOCKED({
        result = REAL(ftruncate64)(file, length);
        if (result == 0 && is_tracked(file)) note('T', file, length, "", 0);
    });
    return result;
}

#define SYNC(name)                                                                                                                                   \
    int name(int file) {                                                                                                                             \
        int result;                                                                                                                                  \
        LOCKED({                                                                                                                                     \
            result = REAL(name)(file);                                                                                                               \
            if (result == 0 && is_tracked(file)) note('F', file, 0, "", 0);                                                                          \
        });                                                                                                                                          \
        return result;                                                                                                                               \
    }
SYNC(fsync)
SYNC(fdatasync)

#define REMOVE(name, letter)                                                                                                                         \
    int name(const char *path) {                                                                                                                     \
        int result;                                                                                                                                  \
        LOCKED({                                                                                                                                     \
            result = REAL(name)(path);                                                                                                               \
            if (result == 0 && is_ours(path)) note_path(letter, 0, 0, path);                                                                         \
        });                                                                                                                                          \
        return result;                                                                                                                               \
    }
REMOVE(unlink, 'U')
REMOVE(rmdir, 'U')
REMOVE(remove, 'U')

int mkdir(const char *path, mode_t mode) {
    int result;
    LOCKED({
        result = REAL(mkdir)(path, mode);
        if (result == 0 && is_ours(path)) note_path('M', 0, 0, path);
    });
    return result;
}

int rename(const char *from, const char *to) {
    int result;
    LOCKED({
        result = REAL(rename)(from, to);
        if (result == 0 && is_ours(from)) {
            char both[8192];
            int length = snprintf(both, sizeof both, "%s\n%s", from, to);
            note('R', 0, 0, both, (size_t)length);
        }
    });
    return result;
}

/* What this file does not follow must not happen unseen. */
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    if (is_tracked(out)) fail("sendfile into a recorded file");
    return REAL(sendfile64)(out, in, offset, count);
}
int link(const char *from, const char *to) {
    if (is_ours(to)) fail("link to a recorded file");
    return REAL(link)(from, to);
}
