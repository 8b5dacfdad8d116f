// A custom runtime in C for the bench: one connection to the Runtime API, answers each event with itself.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char answer[1 << 16];

// Reads one HTTP answer; returns its body, or exits when the server has gone.
static char *receive(int connection, size_t *body_size) {
  size_t size = 0;
  for (;;) {
    ssize_t got = read(connection, answer + size, sizeof answer - 1 - size);
    if (got <= 0) exit(0);
    answer[size += (size_t)got] = 0;
    char *end = strstr(answer, "\r\n\r\n");
    char *length = strcasestr(answer, "content-length:");
    if (!end || !length) continue;
    *body_size = strtoul(length + 15, NULL, 10);
    if (size >= (size_t)(end + 4 - answer) + *body_size) return end + 4;
  }
}

int main(void) {
  char *colon, *api = getenv("AWS_LAMBDA_RUNTIME_API"), request[1 << 16], id[64];
  if (!api || !(colon = strchr(api, ':'))) return 1;
  *colon = 0;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
  inet_pton(AF_INET, api, &address.sin_addr);
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(connection, (struct sockaddr *)&address, sizeof address)) return 1;
  for (;;) {
    size_t size;
    dprintf(connection, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n");
    char *event = receive(connection, &size);
    char *found = strcasestr(answer, "lambda-runtime-aws-request-id:");
    if (!found || sscanf(found + 30, " %63[^\r]", id) != 1) return 1;
    int head = snprintf(request, sizeof request, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: api\r\nContent-Length: %zu\r\n\r\n", id, size);
    memcpy(request + head, event, size);
    if (write(connection, request, (size_t)head + size) < 0) return 1;
    receive(connection, &size);
  }
}
