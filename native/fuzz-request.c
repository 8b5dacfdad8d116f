// Feeds a file (or stdin) to the request parser and touches all it answered: a fuzzer's harness.
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t touch_placements(const struct placements *placements) {
  size_t sum = 0;
  for (size_t i = 0; i < placements->count; i++) sum += strlen(placements->each[i].what) + strlen(placements->each[i].where);
  return sum;
}

static size_t touch_places(const struct places *places) {
  size_t sum = 0;
  for (size_t i = 0; i < places->count; i++) sum += strlen(places->each[i]);
  return sum;
}

static size_t touch(const struct request *request) {
  size_t sum = request->name ? strlen(request->name) : 0;
  sum += request->directory ? strlen(request->directory) : 0;
  sum += request->root ? strlen(request->root) : 0;
  sum += request->format ? strlen(request->format) : 0;
  sum += touch_placements(&request->mounts) + touch_placements(&request->links) + touch_placements(&request->files);
  sum += touch_places(&request->parts) + touch_places(&request->empty) + touch_places(&request->hidden);
  for (size_t i = 0; i < request->filter_bytes; i++) sum += request->filter[i] == 6;  // reads each
  for (size_t i = 0; i < request->argument_count; i++) sum += strlen(request->arguments[i]);
  for (size_t i = 0; i < request->variable_count; i++) sum += strlen(request->variables[i]);
  return sum;
}

// Frames stand one behind the other, each after its length (u32, little-endian), so that one process tries many.
int main(int argc, char **argv) {
  FILE *input = argc > 1 ? fopen(argv[1], "rb") : stdin;
  if (!input) return 2;
  unsigned char size[4];
  size_t frames = 0, refused = 0;
  while (fread(size, 1, 4, input) == 4) {
    size_t length = size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
    if (length > FRAME_BYTES_MAX) return 2;
    char *frame = malloc(length + 1);
    if (!frame || fread(frame, 1, length, input) != length) return 2;
    struct request request;
    if (request_parse(frame, length, &request)) refused++;
    else if (touch(&request) > FRAME_BYTES_MAX) return 3;
    frames++;
    free(frame);
  }
  printf("%zu frames, %zu refused\n", frames, refused);
  return 0;
}
