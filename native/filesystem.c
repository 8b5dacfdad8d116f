// The sandbox's root: a small read-only tmpfs with the host's /usr, a generated /etc and /dev, the request's directories, /proc and /tmp.
// Or, of a container image, the directory that the request names as root: then nothing of the host's but /dev. Which directories, files, devices
// and texts these are, and what is hidden below /proc, the requests say (src/sandbox/linux/root-parts.ts).
//
// What is the same for every sandbox is mounted once (OP_PREPARE), in the launcher's own mount namespace, and cloned from there. Every target is made
// by us, step by step and never through a link, before or beside content: no link inside a package can lead a mount elsewhere.
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Any directory that every host has and that no request names: the launcher mounts the shared parts here, each sandbox its root. Not below
// /proc: without root, the kernel gives a new /proc only to who sees all of the old one.
#define STAGE "/sys/bus"
enum { READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

// An empty file and an empty directory, which cover what tells of the host or steers it: these two first, whatever the root is, and from there
// the others.
#define EMPTY_FILE "/etc/environment"
#define EMPTY_DIRECTORY "/etc/opt"
#define FIRST_HIDDEN_FILE "/proc/cmdline"
#define FIRST_HIDDEN_DIRECTORY "/proc/fs"

static int own_namespace = -1, own_root = -1;

// Where a place inside is before the sandbox has its root; until the next call.
static const char *staged(const char *path) {
  static char place[sizeof STAGE + PLACE_BYTES_MAX];
  snprintf(place, sizeof place, STAGE "%s", path);
  return place;
}

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

static int write_text(const char *path, const char *text) {
  int place = make_place(path, false);
  int file = place < 0 || close(place) ? -1 : open(staged(path), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return -1;
  ssize_t written = write(file, text, strlen(text));
  return close(file) || written != (ssize_t)strlen(text) ? -1 : 0;
}

// Lies over a file that the kernel has. It is made below /sys under the same name, and has none when it is there.
static int cover(const char *path, const char *text) {
  char made[sizeof "/sys" + PLACE_BYTES_MAX];
  snprintf(made, sizeof made, "/sys%s", strrchr(path, '/'));
  int tree = write_text(made, text) ? -1 : clone_tree(staged(made));
  return tree < 0 || protect(tree, READ_ONLY, 0) || attach(tree, path) || unlink(staged(made)) ? -1 : 0;
}

static const char *make_links(const struct placements *links) {
  for (size_t i = 0; i < links->count; i++)
    if (symlink(links->each[i].what, staged(links->each[i].where))) return links->each[i].where;
  return NULL;
}

static const char *write_files(const struct placements *files) {
  for (size_t i = 0; i < files->count; i++) {
    const char *path = files->each[i].where;
    if (strncmp(path, "/proc/", 6) ? write_text(path, files->each[i].what) : cover(path, files->each[i].what)) return path;
  }
  return NULL;
}

static int mount_new(const char *type, const char *target, unsigned long flags, const char *options) {
  int made = make_place(target, true);
  return made < 0 || close(made) || mount(type, staged(target), type, flags, options) ? -1 : 0;
}

// Recursively, with all that is mounted below it.
static int protect_place(const char *path, uint64_t attributes) {
  int tree = open(staged(path), O_PATH | O_CLOEXEC);
  return tree < 0 || protect(tree, attributes, 0) || close(tree) ? -1 : 0;
}

// Of the host. Devices are protected with all of /dev: they must stay some.
static const char *share(const struct placements *mounts) {
  for (size_t i = 0; i < mounts->count; i++) {
    const char *path = mounts->each[i].where;
    int tree = clone_tree(mounts->each[i].what);
    if (tree < 0 || (strncmp(path, "/dev/", 5) && protect(tree, READ_ONLY, 0)) || attach(tree, path)) return path;
  }
  return NULL;
}

// A slave of the host's tree: what the host mounts later is seen here, and nothing of this is seen there.
const char *filesystem_prepare(const struct request *request) {
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) return "a mount namespace of the launcher's own";
  own_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (own_namespace < 0 || own_root < 0) return "a way back into the launcher's mount namespace";
  if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k,nr_inodes=64")) return "a place for the shared parts";
  if (mount_new("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=64")) return "/dev";
  if (mount_new("tmpfs", "/etc", MS_NOSUID | MS_NODEV, "mode=755,size=256k,nr_inodes=128")) return "/etc";
  const char *failed = share(&request->mounts);
  if (!failed) failed = make_links(&request->links);
  if (!failed) failed = write_files(&request->files);
  if (failed) return failed;
  int file = make_place(EMPTY_FILE, false), directory = make_place(EMPTY_DIRECTORY, true);
  if (file < 0 || directory < 0 || close(file) || close(directory) || protect_place("/etc", READ_ONLY)) return "/etc";
  return protect_place("/dev", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) ? "/dev" : NULL;
}

static const char *open_requested(const struct request *request, int trees[MOUNTS_MAX]) {
  memset(trees, -1, MOUNTS_MAX * sizeof *trees);
  for (size_t i = 0; i < request->mounts.count; i++) {
    trees[i] = clone_tree(request->mounts.each[i].what);
    if (trees[i] < 0 || protect(trees[i], READ_ONLY, MS_PRIVATE)) return request->mounts.each[i].what;
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
  int trees[PLACES_MAX], empty_file = clone_tree(STAGE EMPTY_FILE), empty_directory = clone_tree(STAGE EMPTY_DIRECTORY);
  for (size_t i = 0; i < request->parts.count; i++)
    if ((trees[i] = clone_tree(staged(request->parts.each[i]))) < 0) return request->parts.each[i];
  if (mount_root(request->root)) return "root";
  for (size_t i = 0; i < request->parts.count; i++)
    if (attach(trees[i], request->parts.each[i])) return request->parts.each[i];
  const char *failed = make_links(&request->links);
  if (failed) return failed;
  for (size_t i = 0; i < request->empty.count; i++) {
    int place = make_place(request->empty.each[i], true);
    if (place < 0 || close(place)) return request->empty.each[i];
  }
  char options[TMP_OPTIONS_MAX];
  tmp_options(options, request);
  if (mount_new("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, options)) return "/tmp";
  if (mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return "/proc";
  // Nothing can be written into an image.
  if (request->root && mount_new("tmpfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=256k,nr_inodes=16")) return "/sys";
  if ((failed = write_files(&request->files))) return failed;
  return attach(empty_file, FIRST_HIDDEN_FILE) || attach(empty_directory, FIRST_HIDDEN_DIRECTORY) ? "details of the host below /proc" : NULL;
}

static int hide_host_details(const struct places *hidden) {
  struct stat found;
  for (size_t i = 0; i < hidden->count; i++) {
    if (stat(hidden->each[i], &found)) continue;
    if (mount(S_ISDIR(found.st_mode) ? FIRST_HIDDEN_DIRECTORY : FIRST_HIDDEN_FILE, hidden->each[i], NULL, MS_BIND, NULL)) return -1;
  }
  if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL)) return -1;
  return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

const char *filesystem_enter(const struct request *request) {
  int requested[MOUNTS_MAX];
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return "private mounts";
  const char *failed = open_requested(request, requested);
  if (!failed) failed = assemble(request);
  for (size_t i = 0; !failed && i < request->mounts.count; i++)
    if (attach(requested[i], request->mounts.each[i].where)) failed = request->mounts.each[i].where;
  if (failed) return failed;
  if (chdir(STAGE) || syscall(SYS_pivot_root, ".", ".")) return "pivot_root";
  if (umount2(".", MNT_DETACH)) return "the host's root";
  if (hide_host_details(&request->hidden)) return "details of the host below /proc";
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
  for (; !failed && found < request->mounts.count; found++)
    if ((places[found] = open(request->mounts.each[found].where, O_PATH | O_CLOEXEC | O_NOFOLLOW)) < 0) failed = request->mounts.each[found].where;
  for (size_t i = 0; !failed && i < found; i++)
    if (syscall(SYS_move_mount, trees[i], "", places[i], "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)) failed = request->mounts.each[i].where;
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
  for (size_t i = 0; i < request->mounts.count; i++)
    if (trees[i] >= 0) close(trees[i]);
  // Namespace, root and working directory are the launcher's for everything that follows: without them it can't go on.
  if (setns(own_namespace, CLONE_NEWNS) || fchdir(own_root) || chroot(".")) _exit(1);
  errno = cause;
  return failed;
}
