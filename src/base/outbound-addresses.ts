// Which addresses the server itself calls when a user names a web address: public ones, and networks that the operator allows.
import { BlockList, isIP, isIPv4 } from "node:net";
import { NEVER_REACHED, PRIVATE_NETWORKS } from "./egress.ts";

export const LOOPBACK_NETWORKS: readonly string[] = ["127.0.0.0/8", "::1/128"];

/** Of IPv6 only this is the internet, and not all of it: protocol assignments with Teredo, documentation, 6to4 (RFC 6890, 9637). */
const GLOBAL_IPV6 = ["2000::/3"];
const SPECIAL_IPV6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const familyOf = (address: string) => (isIPv4(address) ? "ipv4" : "ipv6");

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
}

const specialIpv4 = listOf([...NEVER_REACHED, ...PRIVATE_NETWORKS]);
const globalIpv6 = listOf(GLOBAL_IPV6);
const specialIpv6 = listOf(SPECIAL_IPV6);

const MAPPED = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;

/** An IPv4 address that stands in an IPv6 one (::ffff:127.0.0.1) leads where the IPv4 address does. */
function plainAddress(address: string): string {
  if (isIPv4(address)) return address;
  const [, high = "", low = ""] = MAPPED.exec(new URL(`http://[${address}]`).hostname) ?? [];
  if (high === "") return address;
  const bytes = [parseInt(high, 16) >> 8, parseInt(high, 16) & 255, parseInt(low, 16) >> 8, parseInt(low, 16) & 255];
  return bytes.join(".");
}

/** What is wrong with a network that the operator wants to allow, in a few words; undefined when it can be used. */
export function outboundNetworkProblem(text: string): string | undefined {
  const [address = "", bits = "", ...rest] = text.split("/");
  const bitsMax = isIP(address) === 4 ? 32 : 128;
  const isNetwork = isIP(address) !== 0 && !address.includes("%") && /^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax;
  return isNetwork && rest.length === 0 ? undefined : "is not a network such as 10.1.0.0/16 or fd00::/8";
}

/** Whether an address may be called. */
export function outboundAddresses(allowed: readonly string[]): (address: string) => boolean {
  const extra = listOf(allowed);
  return (given) => {
    // With a zone it is link-local.
    if (isIP(given) === 0 || given.includes("%")) return false;
    const address = plainAddress(given);
    if (extra.check(address, familyOf(address))) return true;
    if (isIPv4(address)) return !specialIpv4.check(address, "ipv4");
    return globalIpv6.check(address, "ipv6") && !specialIpv6.check(address, "ipv6");
  };
}
