// The sandbox's root: a small read-only tmpfs with binds of the host's /usr, the request's directories, /proc, /dev and /tmp.
//
// Every source is opened as a detached mount before anything is covered, and every target is made by us in an empty tree before
// content is there: no link inside a package is ever followed.
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FROM_HOST_MAX = 32, PLACE_BYTES = 512 };

struct detached {
  const char *target;
  int tree;
  bool is_directory;
};

static struct detached from_host[FROM_HOST_MAX];
static size_t from_host_count;
static int requested[MOUNTS_MAX];
static char links[8][2][64];
static size_t link_count;

// Where the new root is assembled; any directory of the host serves, because the mount is private to the sandbox.
static const char *const STAGE = "/proc";

static const char *const SYSTEM_DIRECTORIES[] = {"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"};
static const char *const SYSTEM_FILES[] = {
  "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
  "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types", "/etc/services", "/etc/protocols",
};
static const char *const DEVICES[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
static const char *const HIDDEN_FILES[] = {"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/kallsyms",
                                           "/proc/kmsg", "/proc/modules", "/proc/config.gz"};
static const char *const HIDDEN_DIRECTORIES[] = {"/proc/acpi", "/proc/scsi", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/driver", "/proc/tty"};

static int open_tree_at(const char *path) { return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC); }

static int protect(int tree, uint64_t attributes) {
  struct mount_attr change = {.attr_set = attributes};
  return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &change, sizeof change);
}

static const char *open_from_host(const char *path, uint64_t attributes) {
  struct stat found;
  if (stat(path, &found)) return NULL;  // not every host has every file
  if (from_host_count == FROM_HOST_MAX) return "too many system mounts";
  int tree = open_tree_at(path);
  if (tree < 0 || protect(tree, attributes)) return path;
  from_host[from_host_count++] = (struct detached){path, tree, S_ISDIR(found.st_mode)};
  return NULL;
}

static const char *open_system_directory(const char *path) {
  char target[64];
  ssize_t size = readlink(path, target, sizeof target - 1);
  if (size <= 0) return open_from_host(path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  target[size] = 0;
  snprintf(links[link_count][0], sizeof links[0][0], "%s", path);
  snprintf(links[link_count++][1], sizeof links[0][1], "%s", target);
  return NULL;
}

const char *filesystem_open(const struct request *request) {
  const uint64_t read_only = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const char *failed = open_from_host("/usr", read_only);
  for (size_t i = 0; !failed && i < sizeof SYSTEM_DIRECTORIES / sizeof *SYSTEM_DIRECTORIES; i++) failed = open_system_directory(SYSTEM_DIRECTORIES[i]);
  for (size_t i = 0; !failed && i < sizeof SYSTEM_FILES / sizeof *SYSTEM_FILES; i++) failed = open_from_host(SYSTEM_FILES[i], read_only);
  for (size_t i = 0; !failed && i < sizeof DEVICES / sizeof *DEVICES; i++) failed = open_from_host(DEVICES[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  for (size_t i = 0; !failed && i < request->mount_count; i++) {
    requested[i] = open_tree_at(request->mounts[i].source);
    if (requested[i] < 0 || protect(requested[i], read_only)) return request->mounts[i].source;
  }
  return failed;
}

// Makes every directory of `path` below the stage; the last part is a directory or an empty file.
static int make_place(const char *path, bool is_directory, char *place) {
  snprintf(place, PLACE_BYTES, "%s%s", STAGE, path);
  for (char *at = place + strlen(STAGE) + 1; (at = strchr(at, '/')); *at++ = '/') {
    *at = 0;
    if (mkdir(place, 0755) && errno != EEXIST) return -1;
  }
  if (is_directory) return mkdir(place, 0755) && errno != EEXIST ? -1 : 0;
  int file = open(place, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
  if (file < 0) return -1;
  return close(file);
}

static int attach(int tree, const char *target, bool is_directory) {
  char place[PLACE_BYTES];
  if (make_place(target, is_directory, place)) return -1;
  if (syscall(SYS_move_mount, tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH)) return -1;
  return close(tree);
}

static int write_text(const char *path, const char *text) {
  char place[PLACE_BYTES];
  if (make_place(path, false, place)) return -1;
  int file = open(place, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return -1;
  ssize_t written = write(file, text, strlen(text));
  close(file);
  return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int write_accounts(void) {
  return write_text("/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/tmp:/sbin/nologin\n") ||
         write_text("/etc/group", "root:x:0:\nsbx_user1051:x:990:\n") || write_text("/etc/hostname", "sandbox\n") ||
         write_text("/etc/hosts", "127.0.0.1 localhost\n169.254.100.1 sandbox sandbox.localdomain\n") ||
         write_text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n") || write_text("/etc/resolv.conf", "# no resolver can be reached\n");
}

static int mount_new(const char *type, const char *target, unsigned long flags, const char *options) {
  char place[PLACE_BYTES];
  if (make_place(target, true, place)) return -1;
  return mount(type, place, type, flags, options);
}

static int make_devices_links(void) {
  static const char *const named[][2] = {{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}};
  char place[PLACE_BYTES];
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    snprintf(place, sizeof place, "%s/dev/%s", STAGE, named[i][0]);
    if (symlink(named[i][1], place)) return -1;
  }
  return 0;
}

static int attach_system(void) {
  for (size_t i = 0; i < from_host_count; i++)
    if (attach(from_host[i].tree, from_host[i].target, from_host[i].is_directory)) return -1;
  for (size_t i = 0; i < link_count; i++) {
    char place[PLACE_BYTES];
    snprintf(place, sizeof place, "%s%s", STAGE, links[i][0]);
    if (symlink(links[i][1], place)) return -1;
  }
  return 0;
}

static int attach_requested(const struct request *request) {
  for (size_t i = 0; i < request->mount_count; i++) {
    struct stat found;
    if (fstat(requested[i], &found) || attach(requested[i], request->mounts[i].target, S_ISDIR(found.st_mode))) return -1;
  }
  return 0;
}

static int hide_host_details(void) {
  struct stat found;
  for (size_t i = 0; i < sizeof HIDDEN_FILES / sizeof *HIDDEN_FILES; i++)
    if (!stat(HIDDEN_FILES[i], &found) && mount("/dev/null", HIDDEN_FILES[i], NULL, MS_BIND, NULL)) return -1;
  for (size_t i = 0; i < sizeof HIDDEN_DIRECTORIES / sizeof *HIDDEN_DIRECTORIES; i++)
    if (!stat(HIDDEN_DIRECTORIES[i], &found) && mount("tmpfs", HIDDEN_DIRECTORIES[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0,nr_inodes=2"))
      return -1;
  if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL)) return -1;
  return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

const char *filesystem_enter(const struct request *request) {
  char tmp_options[128];
  snprintf(tmp_options, sizeof tmp_options, "mode=1777,size=%llu,nr_inodes=%llu", (unsigned long long)request->tmp_bytes, (unsigned long long)request->tmp_inodes);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return "private mounts";
  if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=512")) return "root";
  if (mount_new("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=64")) return "/dev";
  if (attach_system()) return "the system's directories";
  if (make_devices_links()) return "/dev links";
  if (write_accounts()) return "/etc";
  if (attach_requested(request)) return "the request's mounts";
  if (mount_new("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, tmp_options)) return "/tmp";
  if (mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return "/proc";
  if (chdir(STAGE) || syscall(SYS_pivot_root, ".", ".")) return "pivot_root";
  if (umount2(".", MNT_DETACH)) return "the host's root";
  if (hide_host_details()) return "details of the host below /proc";
  if (mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL)) return "read-only /dev";
  if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL)) return "read-only root";
  return NULL;
}
