// The gateway's packet filter, as text for nft: what sandboxes reach, and that nothing reaches them.
import { NEVER_REACHED, PRIVATE_NETWORKS } from "../../base/egress.ts";

/** Where the gateway's carrier answers DNS with the host's own resolver; `native/resolv.conf` names it inside. */
export const RESOLVER = "198.19.1.3";
export const CARRIER_NETWORK = "198.19.1.0/24";
export const CARRIER_INTERFACE = "tap0";
/** One sandbox's connections at a time: the kernel's table of them is shared by all. */
const CONNECTIONS_PER_SANDBOX_MAX = 1000;

/** Every address that the host takes as its own, as networks, out of the text of /proc/net/fib_trie. */
export function localNetworks(fibTrie: string): readonly string[] {
  const found = new Set<string>();
  let address = "";
  for (const line of fibTrie.split("\n")) {
    const leaf = /^\s*\|-- (\S+)$/.exec(line)?.[1];
    if (leaf !== undefined) address = leaf;
    const bits = /^\s*\/(\d+) host LOCAL$/.exec(line)?.[1];
    if (bits !== undefined) found.add(`${address}/${bits}`);
  }
  return [...found].toSorted();
}

const elements = (networks: readonly string[]) => (networks.length === 0 ? "" : `elements = { ${networks.join(", ")} }`);
const networkSet = (name: string, networks: readonly string[]) =>
  `  set ${name} { type ipv4_addr; flags interval; auto-merge; ${elements(networks)}\n  }`;

/** Replaces what counts as the host itself, in one step. */
export function hostUpdate(host: readonly string[]): string {
  const added = host.length === 0 ? "" : `add element inet lambent host { ${host.join(", ")} }\n`;
  return `flush set inet lambent host\n${added}`;
}

/**
 * Everything is refused that no line lets pass. A refusal is answered, so that a function sees EHOSTUNREACH at once. DNS goes to the host's
 * resolver only, and port 25 is closed as on AWS; an allowed network is reached on every port.
 */
export function packetFilter({ host, allowed }: { host: readonly string[]; allowed: readonly string[] }): string {
  const refuse = "reject with icmpx type admin-prohibited";
  return `table inet lambent {
${networkSet("host", host)}
${networkSet("never", NEVER_REACHED)}
${networkSet("allowed", allowed)}
${networkSet("private", PRIVATE_NETWORKS)}
  set connections { type ipv4_addr; size 65535; flags dynamic;
  }
  chain input { type filter hook input priority 0; policy drop;
  }
  chain forward { type filter hook forward priority 0; policy drop;
    iifname "${CARRIER_INTERFACE}" ct state established,related accept
    oifname != "${CARRIER_INTERFACE}" drop
    ct state invalid drop
    ct state new add @connections { ip saddr ct count over ${CONNECTIONS_PER_SANDBOX_MAX} } ${refuse}
    ip daddr ${RESOLVER} udp dport 53 accept
    ip daddr ${RESOLVER} tcp dport 53 accept
    ip daddr @never ${refuse}
    ip daddr @host ${refuse}
    ip daddr @allowed accept
    ip daddr @private ${refuse}
    tcp dport { 25, 53, 853 } ${refuse}
    udp dport { 53, 853 } ${refuse}
    meta nfproto ipv4 accept
  }
  chain postrouting { type nat hook postrouting priority 100;
    oifname "${CARRIER_INTERFACE}" masquerade
  }
}
`;
}
