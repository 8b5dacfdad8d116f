// Requests of the server, as read from its pipe: a frame of tagged fields, bounds-checked, with no policy.
#ifndef LAMBENT_REQUEST_H
#define LAMBENT_REQUEST_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_BYTES_MAX = 1 << 20, MOUNTS_MAX = 64, WORDS_MAX = 512, LISTENERS_MAX = 8, PROCESSORS_MAX = 64, NAME_BYTES_MAX = 64, SLOT_MAX = 65534 };
// A filter's instructions have 8 bytes each, and the kernel takes 4096 of them.
enum { PLACES_MAX = 64, PLACE_BYTES_MAX = 96, INSTRUCTION_BYTES = 8, FILTER_BYTES_MAX = 4096 * INSTRUCTION_BYTES };

// OP_PREPARE comes first, and once: what all sandboxes share.
enum operation { OP_START = 1, OP_KILL = 2, OP_FREEZE = 3, OP_THAW = 4, OP_USAGE = 5, OP_LIMIT_CPU = 6, OP_SPECIALISE = 7, OP_PREPARE = 8 };

enum field {
  FIELD_NAME = 1, FIELD_MOUNT, FIELD_ARGUMENT, FIELD_VARIABLE, FIELD_DIRECTORY, FIELD_MEMORY, FIELD_CPU, FIELD_PROCESSES,
  FIELD_OPEN_FILES, FIELD_TMP_BYTES, FIELD_TMP_INODES, FIELD_LISTENER, FIELD_UID, FIELD_SLOT,
  FIELD_PREPARED, FIELD_FORMAT, FIELD_PROCESSORS, FIELD_DATAGRAMS, FIELD_FILTER,
  FIELD_LINK, FIELD_FILE, FIELD_PART, FIELD_EMPTY, FIELD_HIDDEN,
};

// What comes to be somewhere: a directory or file of the host's, what a link says, the text of a file.
struct placement {
  const char *what;
  const char *where;
};

struct placements {
  struct placement each[MOUNTS_MAX];
  size_t count;
};

struct places {
  const char *each[PLACES_MAX];
  size_t count;
};

// Strings point into the frame, which must outlive the request.
struct request {
  enum operation operation;
  uint32_t id;
  const char *name;
  struct placements mounts, links, files;  // a file below /proc is laid over the one that is there
  const char *root;      // of a mount over /: what is there instead of a tmpfs
  struct places parts;   // what OP_PREPARE made, as a whole: the sandbox has it at the same place
  struct places empty;   // directories to be made
  struct places hidden;  // what is covered below /proc, where the kernel has it
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
  const char *filter;  // the program for system calls, as the kernel takes it
  size_t filter_bytes;
  uint64_t prepared;  // not 0: what is missing comes with one OP_SPECIALISE, while so many processes are alive and nobody's code has run inside
};

// Reads a frame without its length: u8 operation, u32 id, then fields (u8 tag, u32 length, bytes); integers are little-endian.
// Text fields end in NUL inside the frame. Returns 0, or the reason of the refusal.
const char *request_parse(char *frame, size_t length, struct request *request);

#endif
