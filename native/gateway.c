// The way to the internet: one network namespace per launcher, to which each sandbox that may go out has a virtual cable of its own.
//
// What may pass is decided by the packet filter that the server loads there, and carried by the process that the server starts there:
// nothing here touches the host's own interfaces, routes or rules, and all of it goes with the namespace.
#define _GNU_SOURCE
#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// 198.18.0.0/15 is for benchmarks: neither the internet nor anybody's network has it. Sandboxes have the lower half.
enum { SANDBOX_NETWORK = 0xc6120000, GATEWAY_ADDRESS = 0xc6130001, MTU = 65520, INDEX_LOOPBACK = 1, INDEX_INSIDE = 2, INDEX_OUTSIDE = 1000, MESSAGE_BYTES = 512 };

struct message {
  struct nlmsghdr head;
  char body[MESSAGE_BYTES];
};

static void *extend(struct message *message, size_t size) {
  void *at = (char *)message + NLMSG_ALIGN(message->head.nlmsg_len);
  message->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(message->head.nlmsg_len) + size);
  return at;
}

static struct rtattr *open_attribute(struct message *message, unsigned short type) {
  struct rtattr *attribute = extend(message, RTA_LENGTH(0));
  attribute->rta_type = type;
  return attribute;
}

static void close_attribute(struct message *message, struct rtattr *attribute) {
  attribute->rta_len = (unsigned short)((char *)message + message->head.nlmsg_len - (char *)attribute);
}

static void put(struct message *message, unsigned short type, const void *bytes, size_t size) {
  struct rtattr *attribute = open_attribute(message, type);
  memcpy(extend(message, size), bytes, size);
  close_attribute(message, attribute);
}

static void put_number(struct message *message, unsigned short type, uint32_t number) { put(message, type, &number, sizeof number); }
static void put_text(struct message *message, unsigned short type, const char *text) { put(message, type, text, strlen(text) + 1); }

static void begin(struct message *message, unsigned short type, const void *header, size_t size) {
  memset(message, 0, sizeof *message);
  message->head = (struct nlmsghdr){.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL};
  memcpy(extend(message, size), header, size);
}

// Sends it and takes the kernel's answer; errno has the reason.
static bool ask(int netlink, const struct message *message) {
  struct {
    struct nlmsghdr head;
    struct nlmsgerr error;
    char rest[MESSAGE_BYTES];
  } answer;
  if (send(netlink, message, message->head.nlmsg_len, 0) < 0) return false;
  ssize_t size = recv(netlink, &answer, sizeof answer, 0);
  if (size < (ssize_t)NLMSG_LENGTH(sizeof(int)) || answer.head.nlmsg_type != NLMSG_ERROR) {
    if (size >= 0) errno = EPROTO;
    return false;
  }
  errno = -answer.error.error;
  return answer.error.error == 0;
}

static bool add_address(int netlink, unsigned index, uint32_t address) {
  struct message message;
  struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = index};
  begin(&message, RTM_NEWADDR, &header, sizeof header);
  put_number(&message, IFA_LOCAL, htonl(address));
  put_number(&message, IFA_ADDRESS, htonl(address));
  return ask(netlink, &message);
}

// To one address by a cable, or (0) to every address by the gateway at its other end.
static bool add_route(int netlink, unsigned index, uint32_t address) {
  struct message message;
  struct rtmsg header = {
    .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
    .rtm_scope = address ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, .rtm_dst_len = address ? 32 : 0, .rtm_flags = address ? 0 : RTNH_F_ONLINK,
  };
  begin(&message, RTM_NEWROUTE, &header, sizeof header);
  if (address) put_number(&message, RTA_DST, htonl(address));
  else put_number(&message, RTA_GATEWAY, htonl(GATEWAY_ADDRESS));
  put_number(&message, RTA_OIF, index);
  return ask(netlink, &message);
}

// Both ends come to be in their namespaces, under numbers that are known beforehand; the outer one is up at once.
static bool add_cable(int netlink, unsigned slot, int inside) {
  struct message message;
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "s%u", slot);
  struct ifinfomsg outer = {.ifi_index = (int)(INDEX_OUTSIDE + slot), .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct ifinfomsg inner = {.ifi_index = INDEX_INSIDE};
  begin(&message, RTM_NEWLINK, &outer, sizeof outer);
  put_text(&message, IFLA_IFNAME, name);
  put_number(&message, IFLA_MTU, MTU);
  struct rtattr *kind = open_attribute(&message, IFLA_LINKINFO);
  put_text(&message, IFLA_INFO_KIND, "veth");
  struct rtattr *data = open_attribute(&message, IFLA_INFO_DATA);
  struct rtattr *peer = open_attribute(&message, VETH_INFO_PEER);
  memcpy(extend(&message, sizeof inner), &inner, sizeof inner);
  put_text(&message, IFLA_IFNAME, "eth0");
  put_number(&message, IFLA_MTU, MTU);
  put_number(&message, IFLA_NET_NS_FD, (uint32_t)inside);
  close_attribute(&message, peer);
  close_attribute(&message, data);
  close_attribute(&message, kind);
  return ask(netlink, &message);
}

// The kernel takes up the inner end only when the pair is complete.
static bool take_up(int netlink, unsigned index) {
  struct message message;
  struct ifinfomsg header = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(&message, RTM_NEWLINK, &header, sizeof header);
  message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  return ask(netlink, &message);
}

static int open_netlink(void) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE); }

// Of the network namespace that the caller is in. What a kernel does not have needs no setting.
static bool set(const char *setting, const char *value) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/%s", setting);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT;
  bool is_written = write(file, value, strlen(value)) == (ssize_t)strlen(value);
  return close(file) == 0 && is_written;
}

// Interfaces that come later have no IPv6: nothing here routes or filters it, so it must not be there.
static bool forbid_ipv6(void) { return set("ipv6/conf/default/disable_ipv6", "1"); }

static const char *furnish(void) {
  int netlink = open_netlink();
  bool is_there = netlink >= 0 && take_up(netlink, INDEX_LOOPBACK) && add_address(netlink, INDEX_LOOPBACK, GATEWAY_ADDRESS);
  if (netlink >= 0) close(netlink);
  if (!is_there) return "the gateway's address";
  bool is_set = forbid_ipv6() && set("ipv4/ip_forward", "1") && set("ipv4/conf/all/rp_filter", "1") && set("ipv4/conf/all/accept_redirects", "0") &&
                set("ipv4/icmp_ratelimit", "0") &&  // every refusal is answered
                set("ipv4/conf/all/send_redirects", "0") && set("ipv4/conf/default/send_redirects", "0");
  return is_set ? NULL : "the gateway's settings below /proc/sys/net";
}

// What the namespace's maker tells: nothing, or what it could not do, and why.
struct outcome {
  int cause;
  char failed[96];
};

__attribute__((noreturn)) static void make_namespace(int parent) {
  struct outcome outcome = {0};
  const char *failed = unshare(CLONE_NEWNET) ? "a network namespace for the gateway" : furnish();
  outcome.cause = errno;
  snprintf(outcome.failed, sizeof outcome.failed, "%s", failed ? failed : "");
  send(parent, &outcome, sizeof outcome, MSG_NOSIGNAL);
  recv(parent, &outcome, 1, 0);  // until it has been opened
  _exit(0);
}

// A process of its own makes it: without root there is no way back out of it.
const char *gateway_create(void) {
  static struct outcome outcome;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return "descriptors";
  pid_t maker = fork();
  if (maker == 0) {
    close(pair[0]);
    make_namespace(pair[1]);
  }
  close(pair[1]);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", maker);
  bool is_told = maker > 0 && recv(pair[0], &outcome, sizeof outcome, 0) == sizeof outcome;
  int made = is_told && !outcome.failed[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  bool is_kept = made >= 0 && fcntl(made, F_DUPFD_CLOEXEC, GATEWAY) == GATEWAY;
  int cause = is_told && outcome.failed[0] ? outcome.cause : errno;
  if (made >= 0) close(made);
  close(pair[0]);
  if (maker > 0) waitpid(maker, NULL, 0);
  errno = cause;
  return is_kept ? NULL : is_told && outcome.failed[0] ? outcome.failed : "the gateway's namespace";
}

int gateway_enter(int gateway) { return setns(gateway, CLONE_NEWNET) ? -1 : open_netlink(); }

const char *gateway_connect(int outside, unsigned slot) {
  uint32_t address = SANDBOX_NETWORK + slot;
  int inside = open_netlink(), own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const char *failed = NULL;
  if (inside < 0 || own < 0 || !forbid_ipv6()) failed = "its network namespace";
  else if (!add_cable(outside, slot, own)) failed = "a pair of virtual interfaces";
  else if (!take_up(inside, INDEX_INSIDE)) failed = "its interface";
  else if (!add_route(outside, INDEX_OUTSIDE + slot, address)) failed = "the route to it";
  else if (!add_address(inside, INDEX_INSIDE, address)) failed = "its address";
  else if (!add_route(inside, INDEX_INSIDE, 0)) failed = "its route";
  int cause = errno;
  if (inside >= 0) close(inside);
  if (own >= 0) close(own);
  errno = cause;
  return failed;
}
