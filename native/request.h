// Requests of the server, as read from its pipe: a frame of tagged fields, bounds-checked, with no policy.
#ifndef LAMBENT_REQUEST_H
#define LAMBENT_REQUEST_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_BYTES_MAX = 1 << 20, MOUNTS_MAX = 64, WORDS_MAX = 512, LISTENERS_MAX = 8, PROCESSORS_MAX = 64, NAME_BYTES_MAX = 64, SLOT_MAX = 65534 };

enum operation { OP_START = 1, OP_KILL = 2, OP_FREEZE = 3, OP_THAW = 4, OP_USAGE = 5, OP_LIMIT_CPU = 6, OP_SPECIALISE = 7 };

enum field {
  FIELD_NAME = 1, FIELD_MOUNT, FIELD_ARGUMENT, FIELD_VARIABLE, FIELD_DIRECTORY, FIELD_MEMORY, FIELD_CPU, FIELD_PROCESSES,
  FIELD_OPEN_FILES, FIELD_TMP_BYTES, FIELD_TMP_INODES, FIELD_LISTENER, FIELD_UID, FIELD_SLOT,
  FIELD_PREPARED, FIELD_FORMAT, FIELD_PROCESSORS, FIELD_DATAGRAMS,
};

struct mount_request {
  const char *source;
  const char *target;
};

// Strings point into the frame, which must outlive the request.
struct request {
  enum operation operation;
  uint32_t id;
  const char *name;
  struct mount_request mounts[MOUNTS_MAX];
  size_t mount_count;
  const char *root;  // of a mount over /: what is there instead of the host's system directories
  char *arguments[WORDS_MAX + 1];
  size_t argument_count;
  char *variables[WORDS_MAX + 1];
  size_t variable_count;
  const char *directory;
  uint64_t memory_bytes;
  uint64_t cpu_millis;
  uint64_t processes_max;
  uint64_t open_files_max;
  uint64_t tmp_bytes;
  uint64_t tmp_inodes;
  uint16_t listeners[LISTENERS_MAX];
  size_t listener_count;
  uint64_t datagrams;  // a UDP port whose datagrams go to the server; 0: none
  uint16_t processors[PROCESSORS_MAX];  // which of the machine's it runs on, and sees
  size_t processor_count;
  const char *format;  // for binfmt_misc: which programs run through which emulator, in this sandbox only; NULL: only what the kernel itself can run
  uint64_t uid;
  uint64_t slot;      // at the gateway to the internet; 0: no way there
  uint64_t prepared;  // not 0: what is missing comes with one OP_SPECIALISE, while so many processes are alive and nobody's code has run inside
};

// Reads a frame without its length: u8 operation, u32 id, then fields (u8 tag, u32 length, bytes); integers are little-endian.
// Text fields end in NUL inside the frame. Returns 0, or the reason of the refusal.
const char *request_parse(char *frame, size_t length, struct request *request);

#endif
