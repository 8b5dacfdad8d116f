// The sandbox's root: a small read-only tmpfs with the host's /usr, a generated /etc and /dev, the request's directories, /proc and /tmp.
// Or, of a container image, the directory that the request names as root: then nothing of the host's but /dev.
//
// What is the same for every sandbox is mounted once, in the launcher's own mount namespace, and cloned from there. Every target is made
// by us, step by step and never through a link, before or beside content: no link inside a package can lead a mount elsewhere.
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Any directory that every host has and that no request names: the launcher mounts the shared parts here, each sandbox its root. Not below
// /proc: without root, the kernel gives a new /proc only to who sees all of the old one.
#define STAGE "/sys/bus"
enum { LINKS_MAX = 8, READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

static const char *const SYSTEM_DIRECTORIES[] = {"/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"};
static const char *const SYSTEM_FILES[] = {
  "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
  "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types", "/etc/services", "/etc/protocols",
};
static const char *const DEVICES[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
static const char *const DEVICE_LINKS[][2] = {
  {"/dev/fd", "/proc/self/fd"}, {"/dev/stdin", "/proc/self/fd/0"}, {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"}};
// An empty file and an empty directory, which cover what tells of the host or steers it: these two first, whatever the root is, and from there
// the others.
#define EMPTY_FILE "/etc/environment"
#define EMPTY_DIRECTORY "/etc/opt"
#define FIRST_HIDDEN_FILE "/proc/cmdline"
#define FIRST_HIDDEN_DIRECTORY "/proc/fs"
static const char *const GENERATED[][2] = {
  {"/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/tmp:/sbin/nologin\n"},
  {"/etc/group", "root:x:0:\nsbx_user1051:x:990:\n"},
  {"/etc/hostname", "sandbox\n"},
  {"/etc/hosts", "127.0.0.1 localhost\n169.254.100.1 sandbox sandbox.localdomain\n"},
  {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
  {"/etc/resolv.conf", "# no resolver can be reached\n"},
  {EMPTY_FILE, ""},
};
// What an image leaves to who runs it; it must have files of these names.
static const char *const OVER_IMAGE[] = {"/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
static const char *const HIDDEN[] = {
  "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/sched_debug", "/proc/kallsyms", "/proc/kmsg",
  "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/modules", "/proc/config.gz", "/proc/interrupts",
  "/proc/partitions", "/proc/diskstats", "/proc/swaps", "/proc/acpi", "/proc/scsi", "/proc/irq", "/proc/bus", "/proc/driver", "/proc/tty",
  "/proc/asound", "/proc/dynamic_debug",
};

// Where a prepared sandbox gets its mounts. The dynamic linker never again looks into a library directory that was not there when the
// process started, so these have theirs from the beginning.
static const char *const EMPTY_PLACES[] = {"/var/task/lib", "/opt/lib"};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

// Below the sandbox's own /sys, as the kernel has it; and what covers two files below /proc, made there as well.
#define PROCESSORS "/sys/devices/system/cpu"
static const char *const ALL_PROCESSORS[] = {PROCESSORS "/possible", PROCESSORS "/present"};
enum { PROCESSORS_BYTES_MAX = 128 << 10 };

static char links[LINKS_MAX][2][64];
static size_t link_count;
static const char *shared[LINKS_MAX + 2];  // what each sandbox clones from the stage
static size_t shared_count;
static char *all_processors[LENGTH(ALL_PROCESSORS)], *processor_texts;  // the machine's; of /proc/cpuinfo, with a paragraph for each
static unsigned long long boot_seconds;
static int own_namespace = -1, own_root = -1;

static int clone_tree(const char *path) {
  return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

// `propagation` 0: as it is.
static int protect(int tree, uint64_t attributes, uint64_t propagation) {
  struct mount_attr change = {.attr_set = attributes, .propagation = propagation};
  return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change);
}

// One step down from `parent`, which it closes: makes `name` when it is not there, and opens it unless it is a link.
static int step(int parent, const char *name, bool is_directory) {
  int made = is_directory ? mkdirat(parent, name, 0755) : openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
  int next = openat(parent, name, O_PATH | O_CLOEXEC | O_NOFOLLOW | (is_directory ? O_DIRECTORY : 0));
  if (!is_directory && made >= 0) close(made);
  close(parent);
  return next;
}

// Makes every directory of `path` below the stage; the last part is a directory or an empty file. A descriptor of it, or -1.
static int make_place(const char *path, bool is_directory) {
  int at = open(STAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const char *rest = path; at >= 0;) {
    char name[NAME_MAX + 1];
    rest += strspn(rest, "/");
    size_t length = strcspn(rest, "/");
    if (length == 0) return at;
    if (length > NAME_MAX) break;
    memcpy(name, rest, length);
    name[length] = 0;
    rest += length;
    at = step(at, name, is_directory || rest[strspn(rest, "/")] != 0);
  }
  if (at >= 0) close(at);
  return -1;
}

// Both descriptors are closed when it worked; otherwise the process ends anyway.
static int attach(int tree, const char *target) {
  struct stat found;
  if (tree < 0 || fstat(tree, &found)) return -1;
  int place = make_place(target, S_ISDIR(found.st_mode));
  if (place < 0 || fstat(place, &found) || S_ISLNK(found.st_mode)) return -1;
  if (syscall(SYS_move_mount, tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) return -1;
  return close(tree) || close(place) ? -1 : 0;
}

static int make_link(const char *path, const char *to) {
  char place[128];
  snprintf(place, sizeof place, STAGE "%s", path);
  return symlink(to, place);
}

static int write_text(const char *path, const char *text) {
  char place[128];
  snprintf(place, sizeof place, STAGE "%s", path);
  int file = open(place, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
  if (file < 0) return -1;
  ssize_t written = write(file, text, strlen(text));
  return close(file) || written != (ssize_t)strlen(text) ? -1 : 0;
}

static int mount_new(const char *type, const char *target, unsigned long flags, const char *options) {
  char place[128];
  int made = make_place(target, true);
  snprintf(place, sizeof place, STAGE "%s", target);
  return made < 0 || close(made) || mount(type, place, type, flags, options) ? -1 : 0;
}

// Not every host has every file.
static const char *share(const char *path) {
  int tree = access(path, F_OK) ? -1 : clone_tree(path);
  return tree < 0 ? (errno == ENOENT ? NULL : path) : attach(tree, path) ? path : NULL;
}

static const char *share_system_directory(const char *path) {
  ssize_t size = readlink(path, links[link_count][1], sizeof links[0][1] - 1);
  if (size < 0) {
    if (!access(path, F_OK)) shared[shared_count++] = path;
    return share(path);
  }
  links[link_count][1][size] = 0;
  snprintf(links[link_count++][0], sizeof links[0][0], "%s", path);
  return NULL;
}

static const char *share_parts(void) {
  const char *failed = mount_new("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=64") ? "/dev" : NULL;
  if (mount_new("tmpfs", "/etc", MS_NOSUID | MS_NODEV, "mode=755,size=256k,nr_inodes=128")) return "/etc";
  for (size_t i = 0; !failed && i < LENGTH(SYSTEM_DIRECTORIES); i++) failed = share_system_directory(SYSTEM_DIRECTORIES[i]);
  for (size_t i = 0; !failed && i < LENGTH(SYSTEM_FILES); i++) failed = share(SYSTEM_FILES[i]);
  for (size_t i = 0; !failed && i < LENGTH(DEVICES); i++) failed = share(DEVICES[i]);
  for (size_t i = 0; !failed && i < LENGTH(DEVICE_LINKS); i++) failed = make_link(DEVICE_LINKS[i][0], DEVICE_LINKS[i][1]) ? "/dev" : NULL;
  for (size_t i = 0; !failed && i < LENGTH(GENERATED); i++) failed = write_text(GENERATED[i][0], GENERATED[i][1]) ? GENERATED[i][0] : NULL;
  int empty = make_place(EMPTY_DIRECTORY, true);
  return failed ? failed : empty < 0 || close(empty) ? EMPTY_DIRECTORY : NULL;
}

// All of a file of the kernel's, with a NUL behind; NULL when there is none.
static char *text_of(const char *path) {
  size_t size = 0, room = 0;
  char *text = NULL;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  for (ssize_t got = 1; file >= 0 && got > 0; size += (size_t)got) {
    if (room - size < 4096 && !(text = realloc(text, room = room * 2 + 65536))) return NULL;
    if ((got = read(file, text + size, room - size - 1)) < 0) break;
    text[size + (size_t)got] = 0;
  }
  if (file >= 0) close(file);
  return text;
}

static bool read_processors(void) {
  char *counters = text_of("/proc/stat"), *boot = counters ? strstr(counters, "\nbtime ") : NULL;
  if (boot) boot_seconds = strtoull(boot + 7, NULL, 10);
  free(counters);
  for (size_t i = 0; i < LENGTH(ALL_PROCESSORS); i++) all_processors[i] = text_of(ALL_PROCESSORS[i]);
  return (processor_texts = text_of("/proc/cpuinfo")) != NULL;
}

static bool has_processor(const struct request *request, unsigned long number) {
  for (size_t i = 0; i < request->processor_count; i++)
    if (request->processors[i] == number) return true;
  return false;
}

// Of the machine's paragraphs those of the sandbox's processors.
static void write_processor_texts(const struct request *request, FILE *to) {
  for (const char *at = processor_texts, *end; *at; at = end) {
    unsigned long number;
    end = strstr(at, "\n\n");
    end = end ? end + 2 : at + strlen(at);
    if (sscanf(at, "processor : %lu", &number) == 1 && has_processor(request, number)) fwrite(at, 1, (size_t)(end - at), to);
  }
}

// As after a start of the machine that cost nothing: what the others do is nobody's business.
static void write_counters(const struct request *request, FILE *to) {
  fputs("cpu  0 0 0 0 0 0 0 0 0 0\n", to);
  for (size_t i = 0; i < request->processor_count; i++) fprintf(to, "cpu%u 0 0 0 0 0 0 0 0 0 0\n", request->processors[i]);
  fprintf(to, "intr 0\nctxt 0\nbtime %llu\nprocesses 0\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n", boot_seconds);
}

static void write_numbers(const struct request *request, FILE *to) {
  for (size_t i = 0; i < request->processor_count; i++) fprintf(to, "%s%u", i ? "," : "", request->processors[i]);
  fputc('\n', to);
}

static int write_processors(const char *path, const struct request *request, void (*write_them)(const struct request *, FILE *)) {
  static char text[PROCESSORS_BYTES_MAX];
  FILE *to = fmemopen(text, sizeof text, "w");
  if (!to) return -1;
  write_them(request, to);
  return fclose(to) ? -1 : write_text(path, text);
}

// Lies over a file below /proc and has no name of its own.
static int cover(const char *path, const char *target) {
  char place[128];
  snprintf(place, sizeof place, STAGE "%s", path);
  int tree = clone_tree(place);
  return tree < 0 || protect(tree, READ_ONLY, 0) || attach(tree, target) || unlink(place) ? -1 : 0;
}

// How many processors there are, wherever programs look: they make as many threads. Which are possible stays true, for those that keep a place for
// each number.
static const char *show_processors(const struct request *request) {
  // Nothing can be written into an image.
  if (request->root && mount_new("tmpfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=256k,nr_inodes=16")) return "/sys";
  int directory = make_place(PROCESSORS, true);
  if (directory < 0 || close(directory)) return PROCESSORS;
  for (size_t i = 0; i < LENGTH(ALL_PROCESSORS); i++)
    if (all_processors[i] && write_text(ALL_PROCESSORS[i], all_processors[i])) return ALL_PROCESSORS[i];
  if (write_processors(PROCESSORS "/online", request, write_numbers)) return PROCESSORS;
  if (write_processors("/sys/cpuinfo", request, write_processor_texts) || cover("/sys/cpuinfo", "/proc/cpuinfo")) return "/proc/cpuinfo";
  if (write_processors("/sys/stat", request, write_counters) || cover("/sys/stat", "/proc/stat")) return "/proc/stat";
  return NULL;
}

// A slave of the host's tree: what the host mounts later is seen here, and nothing of this is seen there.
const char *filesystem_prepare(void) {
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) return "a mount namespace of the launcher's own";
  own_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!read_processors()) return "the machine's processors";
  if (own_namespace < 0 || own_root < 0) return "a way back into the launcher's mount namespace";
  if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k,nr_inodes=64")) return "a place for the shared parts";
  const char *failed = share_parts();
  if (failed) return failed;
  shared[shared_count++] = "/etc";
  for (size_t i = 0; i < shared_count; i++) {
    char place[128];
    snprintf(place, sizeof place, STAGE "%s", shared[i]);
    int tree = open(place, O_PATH | O_CLOEXEC);
    if (tree < 0 || protect(tree, READ_ONLY, 0) || close(tree)) return shared[i];
  }
  int devices = open(STAGE "/dev", O_PATH | O_CLOEXEC);
  if (devices < 0 || protect(devices, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0) || close(devices)) return "/dev";
  shared[shared_count++] = "/dev";
  return NULL;
}

static const char *open_requested(const struct request *request, int trees[MOUNTS_MAX]) {
  memset(trees, -1, MOUNTS_MAX * sizeof *trees);
  for (size_t i = 0; i < request->mount_count; i++) {
    trees[i] = clone_tree(request->mounts[i].source);
    if (trees[i] < 0 || protect(trees[i], READ_ONLY, MS_PRIVATE)) return request->mounts[i].source;
  }
  return NULL;
}

// The tmpfs in which the shared parts come together, or an image.
static int mount_root(const char *image) {
  if (!image) return mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=512");
  int tree = clone_tree(image);
  if (tree < 0 || protect(tree, READ_ONLY, MS_PRIVATE)) return -1;
  return syscall(SYS_move_mount, tree, "", AT_FDCWD, STAGE, MOVE_MOUNT_F_EMPTY_PATH) || close(tree) ? -1 : 0;
}

enum { TMP_OPTIONS_MAX = 96 };

static void tmp_options(char *options, const struct request *request) {
  snprintf(options, TMP_OPTIONS_MAX, "mode=1777,size=%llu,nr_inodes=%llu", (unsigned long long)request->tmp_bytes, (unsigned long long)request->tmp_inodes);
}

static const char *assemble(const struct request *request) {
  const char *const *parts = request->root ? OVER_IMAGE : shared;
  const size_t count = request->root ? LENGTH(OVER_IMAGE) : shared_count;
  int trees[LENGTH(shared)], empty_file = clone_tree(STAGE EMPTY_FILE), empty_directory = clone_tree(STAGE EMPTY_DIRECTORY);
  for (size_t i = 0; i < count; i++) {
    char place[128];
    snprintf(place, sizeof place, STAGE "%s", parts[i]);
    if ((trees[i] = clone_tree(place)) < 0) return parts[i];
  }
  if (mount_root(request->root)) return "root";
  for (size_t i = 0; i < count; i++)
    if (attach(trees[i], parts[i])) return parts[i];
  for (size_t i = 0; i < link_count && !request->root; i++)
    if (make_link(links[i][0], links[i][1])) return links[i][0];
  for (size_t i = 0; i < LENGTH(EMPTY_PLACES) && !request->root; i++) {
    int place = make_place(EMPTY_PLACES[i], true);
    if (place < 0 || close(place)) return EMPTY_PLACES[i];
  }
  char options[TMP_OPTIONS_MAX];
  tmp_options(options, request);
  if (mount_new("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, options)) return "/tmp";
  if (mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return "/proc";
  const char *failed = show_processors(request);
  if (failed) return failed;
  return attach(empty_file, FIRST_HIDDEN_FILE) || attach(empty_directory, FIRST_HIDDEN_DIRECTORY) ? "details of the host below /proc" : NULL;
}

static int hide_host_details(void) {
  struct stat found;
  for (size_t i = 0; i < LENGTH(HIDDEN); i++) {
    if (stat(HIDDEN[i], &found)) continue;
    if (mount(S_ISDIR(found.st_mode) ? FIRST_HIDDEN_DIRECTORY : FIRST_HIDDEN_FILE, HIDDEN[i], NULL, MS_BIND, NULL)) return -1;
  }
  if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL)) return -1;
  return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

const char *filesystem_enter(const struct request *request) {
  int requested[MOUNTS_MAX];
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return "private mounts";
  const char *failed = open_requested(request, requested);
  if (!failed) failed = assemble(request);
  for (size_t i = 0; !failed && i < request->mount_count; i++)
    if (attach(requested[i], request->mounts[i].target)) failed = request->mounts[i].target;
  if (failed) return failed;
  if (chdir(STAGE) || syscall(SYS_pivot_root, ".", ".")) return "pivot_root";
  if (umount2(".", MNT_DETACH)) return "the host's root";
  if (hide_host_details()) return "details of the host below /proc";
  if (request->root && mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return "read-only /sys";
  if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL)) return "read-only root";
  return NULL;
}

// Inside the sandbox. Every place is looked up before anything is mounted: then the root has only what we made, and no link of a package's.
static const char *add(const struct request *request, const int *trees) {
  int places[MOUNTS_MAX];
  char options[TMP_OPTIONS_MAX];
  tmp_options(options, request);
  const char *failed = mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV, options) ? "/tmp" : NULL;
  size_t found = 0;
  for (; !failed && found < request->mount_count; found++)
    if ((places[found] = open(request->mounts[found].target, O_PATH | O_CLOEXEC | O_NOFOLLOW)) < 0) failed = request->mounts[found].target;
  for (size_t i = 0; !failed && i < found; i++)
    if (syscall(SYS_move_mount, trees[i], "", places[i], "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) failed = request->mounts[i].target;
  int cause = errno;
  for (size_t i = 0; i < found; i++)
    if (places[i] >= 0) close(places[i]);
  errno = cause;
  return failed;
}

// Sources are the host's, so they are opened before the launcher goes in.
const char *filesystem_add(int mount_namespace, const struct request *request) {
  int trees[MOUNTS_MAX];
  const char *failed = open_requested(request, trees);
  if (!failed) failed = setns(mount_namespace, CLONE_NEWNS) ? "mount namespace" : add(request, trees);
  int cause = errno;
  for (size_t i = 0; i < request->mount_count; i++)
    if (trees[i] >= 0) close(trees[i]);
  // Namespace, root and working directory are the launcher's for everything that follows: without them it can't go on.
  if (setns(own_namespace, CLONE_NEWNS) || fchdir(own_root) || chroot(".")) _exit(1);
  errno = cause;
  return failed;
}
