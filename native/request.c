// The parser of request.h: every length is checked against what is left before it is used.
#include "request.h"

#include <stdbool.h>
#include <string.h>

struct reader {
  char *at;
  size_t left;
};

static bool take(struct reader *reader, size_t length, char **bytes) {
  if (length > reader->left) return false;
  *bytes = reader->at;
  reader->at += length;
  reader->left -= length;
  return true;
}

static uint64_t integer(const char *bytes, size_t length) {
  uint64_t value = 0;
  for (size_t i = length; i > 0; i--) value = value << 8 | (unsigned char)bytes[i - 1];
  return value;
}

// A text field is its bytes and one NUL at the end, none before.
static bool is_text(const char *bytes, size_t length) {
  return length > 0 && bytes[length - 1] == 0 && memchr(bytes, 0, length - 1) == NULL;
}

static bool has_parent_step(const char *path) {
  for (const char *at = path; (at = strstr(at, "/..")); at += 3)
    if (at[3] == '/' || at[3] == 0) return true;
  return false;
}

static bool is_below(const char *path, const char *top) {
  size_t length = strlen(top);
  return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static bool is_path(const char *text) {
  return text[0] == '/' && !has_parent_step(text);
}

// Of places that are made by name: none is longer.
static bool is_short(const char *path) {
  return is_path(path) && path[1] != 0 && strlen(path) < PLACE_BYTES_MAX;
}

// What would cover the sandbox's own directories, or be covered by them, is refused. Of /dev, OP_PREPARE says what is in it.
static bool is_target(const char *path, enum operation operation) {
  return path[1] != 0 && path[1] != '/' && !is_below(path, "/tmp") && !is_below(path, "/proc") && !is_below(path, "/sys") &&
         (operation == OP_PREPARE || !is_below(path, "/dev"));
}

// What all sandboxes share has files of ours in /etc only; of a sandbox's own, they show what the kernel would show otherwise.
static bool is_file_place(const char *path, enum operation operation) {
  return is_short(path) && (operation == OP_PREPARE ? is_below(path, "/etc") : is_below(path, "/sys") || is_below(path, "/proc"));
}

static bool is_name(const char *text) {
  return text[0] != 0 && strlen(text) < NAME_BYTES_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

static const char *add_place(struct places *to, const char *path, bool is_allowed) {
  if (!is_allowed) return "a place where it can't be";
  if (to->count == PLACES_MAX) return "too many places";
  to->each[to->count++] = path;
  return NULL;
}

static const char *add_placement(struct placements *to, const char *what, const char *where) {
  if (to->count == MOUNTS_MAX) return "too many mounts, links or files";
  to->each[to->count++] = (struct placement){what, where};
  return NULL;
}

static const char *read_mount(const char *source, const char *target, struct request *request) {
  if (!is_path(source) || !is_path(target)) return "mount paths must be absolute, without ..";
  if (strcmp(target, "/") == 0) {
    if (request->root) return "there is one root";
    request->root = source;
    return NULL;
  }
  return is_target(target, request->operation) ? add_placement(&request->mounts, source, target) : "nothing can be mounted over /tmp, /proc, /dev or /sys";
}

// Two texts, one behind the other: what, and where.
static const char *read_placement(enum field tag, const char *bytes, size_t length, struct request *request) {
  const char *middle = memchr(bytes, 0, length);
  if (!middle || !is_text(middle + 1, length - (size_t)(middle + 1 - bytes))) return "malformed mount, link or file";
  const char *where = middle + 1;
  if (tag == FIELD_MOUNT) return read_mount(bytes, where, request);
  if (tag == FIELD_FILE) return is_file_place(where, request->operation) ? add_placement(&request->files, bytes, where) : "no file can be written there";
  return is_short(where) && is_target(where, request->operation) ? add_placement(&request->links, bytes, where) : "no link can be made there";
}

static const char *read_word(char *bytes, char **words, size_t *count) {
  if (*count == WORDS_MAX) return "too many arguments or variables";
  words[(*count)++] = bytes;
  words[*count] = NULL;
  return NULL;
}

static const char *read_listener(const char *bytes, size_t length, struct request *request) {
  if (length != 2 || request->listener_count == LISTENERS_MAX) return "malformed or too many listeners";
  request->listeners[request->listener_count++] = (uint16_t)integer(bytes, 2);
  return NULL;
}

static const char *read_processors(const char *bytes, size_t length, struct request *request) {
  if (length == 0 || length % 2 || length / 2 > PROCESSORS_MAX) return "malformed or too many processors";
  for (size_t i = 0; i < length / 2; i++) request->processors[i] = (uint16_t)integer(bytes + i * 2, 2);
  request->processor_count = length / 2;
  return NULL;
}

static const char *read_filter(const char *bytes, size_t length, struct request *request) {
  if (length == 0 || length % INSTRUCTION_BYTES || length > FILTER_BYTES_MAX) return "malformed or too long system call filter";
  request->filter = bytes;
  request->filter_bytes = length;
  return NULL;
}

static const char *read_number(const char *bytes, size_t length, uint64_t *number) {
  if (length != 8) return "a number has eight bytes";
  *number = integer(bytes, 8);
  return NULL;
}

static const char *read_text(enum field tag, char *bytes, size_t length, struct request *request) {
  if (!is_text(bytes, length)) return "malformed text";
  if (tag == FIELD_ARGUMENT) return read_word(bytes, request->arguments, &request->argument_count);
  if (tag == FIELD_VARIABLE) return bytes[0] != '=' && strchr(bytes, '=') ? read_word(bytes, request->variables, &request->variable_count) : "a variable needs a name and =";
  if (tag == FIELD_NAME) {
    request->name = bytes;
    return is_name(bytes) ? NULL : "malformed name";
  }
  if (tag == FIELD_PART) return add_place(&request->parts, bytes, is_short(bytes));
  if (tag == FIELD_EMPTY) return add_place(&request->empty, bytes, is_short(bytes) && is_target(bytes, request->operation));
  if (tag == FIELD_HIDDEN) return add_place(&request->hidden, bytes, is_short(bytes) && is_below(bytes, "/proc"));
  if (tag == FIELD_FORMAT) {
    request->format = bytes;
    return NULL;
  }
  request->directory = bytes;
  return is_path(bytes) ? NULL : "the working directory must be absolute";
}

static const char *read_field(enum field tag, char *bytes, size_t length, struct request *request) {
  switch (tag) {
    case FIELD_NAME:
    case FIELD_ARGUMENT:
    case FIELD_VARIABLE:
    case FIELD_FORMAT:
    case FIELD_PART:
    case FIELD_EMPTY:
    case FIELD_HIDDEN:
    case FIELD_DIRECTORY: return read_text(tag, bytes, length, request);
    case FIELD_MOUNT:
    case FIELD_LINK:
    case FIELD_FILE: return read_placement(tag, bytes, length, request);
    case FIELD_FILTER: return read_filter(bytes, length, request);
    case FIELD_LISTENER: return read_listener(bytes, length, request);
    case FIELD_PROCESSORS: return read_processors(bytes, length, request);
    case FIELD_MEMORY: return read_number(bytes, length, &request->memory_bytes);
    case FIELD_CPU: return read_number(bytes, length, &request->cpu_millis);
    case FIELD_PROCESSES: return read_number(bytes, length, &request->processes_max);
    case FIELD_OPEN_FILES: return read_number(bytes, length, &request->open_files_max);
    case FIELD_TMP_BYTES: return read_number(bytes, length, &request->tmp_bytes);
    case FIELD_TMP_INODES: return read_number(bytes, length, &request->tmp_inodes);
    case FIELD_UID: return read_number(bytes, length, &request->uid);
    case FIELD_SLOT: return read_number(bytes, length, &request->slot);
    case FIELD_PREPARED: return read_number(bytes, length, &request->prepared);
    case FIELD_DATAGRAMS: return read_number(bytes, length, &request->datagrams);
    default: return "unknown field";
  }
}

// What a sandbox that is there can still be given.
static bool has_limits(const struct request *request) {
  return request->memory_bytes && request->cpu_millis && request->processes_max && request->tmp_bytes && request->tmp_inodes;
}

// A sandbox without a limit must not exist, so a start that leaves one out is refused.
static const char *check_start(const struct request *request) {
  if (!request->name || !request->directory || request->argument_count == 0) return "a start needs a name, a directory and arguments";
  if (!has_limits(request) || !request->open_files_max || !request->uid || !request->processor_count) return "a start needs every limit";
  if (!request->parts.count || !request->files.count || !request->hidden.count) return "a start needs the parts of its root, its files and what is hidden";
  if (request->uid > UINT32_MAX - 1) return "the uid is out of range";
  if (request->slot > SLOT_MAX) return "the slot is out of range";
  if (request->datagrams > UINT16_MAX) return "the port is out of range";
  return NULL;
}

const char *request_parse(char *frame, size_t length, struct request *request) {
  memset(request, 0, sizeof *request);
  struct reader reader = {frame, length};
  char *bytes;
  if (!take(&reader, 5, &bytes)) return "short frame";
  request->operation = (enum operation)(unsigned char)bytes[0];
  request->id = (uint32_t)integer(bytes + 1, 4);
  if (request->operation < OP_START || request->operation > OP_PREPARE) return "unknown operation";
  while (reader.left > 0) {
    char *head;
    if (!take(&reader, 5, &head)) return "short field";
    if (!take(&reader, integer(head + 1, 4), &bytes)) return "field beyond the frame";
    const char *refusal = read_field((enum field)(unsigned char)head[0], bytes, (size_t)integer(head + 1, 4), request);
    if (refusal) return refusal;
  }
  if (request->operation == OP_LIMIT_CPU && !request->cpu_millis) return "a limit on CPU needs a number";
  if (request->operation == OP_SPECIALISE && !has_limits(request)) return "to specialise needs every limit";
  if (request->operation == OP_PREPARE && (!request->filter || !request->mounts.count)) return "to prepare needs a system call filter and system directories";
  return request->operation == OP_START ? check_start(request) : NULL;
}
