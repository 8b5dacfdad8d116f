// Which addresses a function with a way to the internet may reach: public ones, and networks that the operator allows.
import { BlockList, isIPv4 } from "node:net";

/**
 * Refused whatever the operator allows: this host, link-local addresses (a cloud's metadata service is one), the network between the
 * sandboxes, multicast, the reserved rest with the broadcast address.
 */
export const NEVER_REACHED: readonly string[] = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "198.18.0.0/15", "224.0.0.0/3"];

/** Refused unless the operator allows them: somebody's own network, not the internet (RFC 1918, RFC 6598, RFC 6890, RFC 7526). */
export const PRIVATE_NETWORKS: readonly string[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
];

const NETWORK = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/;

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    list.addSubnet(address, Number(bits), "ipv4");
  }
  return list;
}
const never = listOf(NEVER_REACHED);

/** What is wrong with a network that the operator wants to allow, in a few words; undefined when it can be used. */
export function networkProblem(text: string): string | undefined {
  const [, address = "", bits = ""] = NETWORK.exec(text) ?? [];
  if (!isIPv4(address) || Number(bits) > 32) return "is not an IPv4 network such as 10.1.0.0/16";
  const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  if (number % 2 ** (32 - Number(bits)) !== 0) return `has bits set beyond its /${bits}`;
  if (never.check(address, "ipv4"))
    return "can't be allowed: loopback, link-local, multicast and Lambent's own addresses stay out of reach";
  return undefined;
}
