// The one HTTP client for addresses that users name: it checks what a name resolves to, calls only that, follows nothing, waits for little.
import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Clock } from "./clock.ts";
import { outboundAddresses } from "./outbound-addresses.ts";

export interface OutboundAddress {
  readonly address: string;
  readonly family: number;
}

interface OutboundHttpOptions {
  readonly clock: Clock;
  /** Whether an address may be called. */
  readonly isAllowed: (address: string) => boolean;
  /** All addresses of a name; absent: the system's. */
  readonly resolve?: (name: string) => Promise<readonly OutboundAddress[]>;
}

interface OutboundRequest {
  /** `http:` or `https:`; a user and password in it are sent as basic authentication. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** From the beginning to the end of the answer. */
  readonly timeoutMs: number;
  /** Not those that the operator allows beside the public ones. */
  readonly publicOnly?: boolean;
}

export type OutboundAnswer =
  | { readonly kind: "answered"; readonly status: number }
  /** The address may not be called, now or later. */
  | { readonly kind: "refused"; readonly message: string }
  /** No answer, or none in time. */
  | { readonly kind: "failed"; readonly message: string };

export interface OutboundHttp {
  /** Posts; never rejects. Redirects are answers like any other. */
  post(request: OutboundRequest): Promise<OutboundAnswer>;
  /** Requests that run fail at once, and those to come. */
  close(): void;
}

/** Nobody reads what an endpoint says; what is longer is cut off. */
const ANSWER_BYTES_MAX = 64 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;

/** Each holds one of the few threads that files are read with as well, for as long as a name server likes. */
const LOOKUPS_MAX = 2;

/** Those beyond `max` wait for their turn. */
function limited<Given, Found>(max: number, run: (given: Given) => Promise<Found>): (given: Given) => Promise<Found> {
  let free = max;
  const waiting: (() => void)[] = [];
  return async (given) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    try {
      return await run(given);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

/** Who asks for what is being asked for already waits for the same answer: a name whose server is slow takes one turn, not all of them. */
function shared<Found>(run: (name: string) => Promise<Found>): (name: string) => Promise<Found> {
  const running = new Map<string, Promise<Found>>();
  return (name) => {
    const known = running.get(name);
    if (known !== undefined) return known;
    const found = run(name).finally(() => running.delete(name));
    running.set(name, found);
    return found;
  };
}

const systemAddresses = (name: string) => lookup(name, { all: true });

/** The URL, or what is wrong with it. */
export function outboundUrl(text: string): URL | string {
  if (!URL.canParse(text)) return "it is not a URL";
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") return "it is neither http nor https";
  return url.hostname === "" ? "it has no host" : url;
}

/** As it may stand in a log: without user, password and query. */
export function shownUrl(text: string): string {
  const url = outboundUrl(text);
  return typeof url === "string" ? "" : `${url.protocol}//${url.host}${url.pathname}`;
}

const isPublic = outboundAddresses([]);

class Refused extends Error {}

export function outboundHttp({ clock, isAllowed, resolve = systemAddresses }: OutboundHttpOptions): OutboundHttp {
  const closing = new AbortController();
  const addressesFor = shared(limited(LOOKUPS_MAX, resolve));

  const addressesOf = async (url: URL, isCalled: (address: string) => boolean): Promise<readonly OutboundAddress[]> => {
    const name = url.hostname.replace(/^\[|\]$/g, "");
    const family = isIP(name);
    const found = family === 0 ? await addressesFor(name) : [{ address: name, family }];
    // One that may not be called spoils them all: names that lead inside and outside at once are up to no good.
    if (found.length === 0 || !found.every(({ address }) => isCalled(address)))
      throw new Refused(`${url.hostname} leads to an address that Lambent does not call`);
    return found;
  };

  const attempt = async ({ url: text, headers, body, publicOnly = false }: OutboundRequest, signal: AbortSignal): Promise<number> => {
    const url = outboundUrl(text);
    if (typeof url === "string") throw new Refused(url);
    signal.throwIfAborted();
    const addresses = await unlessAborted(addressesOf(url, publicOnly ? isPublic : isAllowed), signal);
    return await sent(url, addresses, headers, body, signal);
  };

  return {
    async post(request) {
      const ending = new AbortController();
      const timer = clock.after(request.timeoutMs, () => ending.abort(new Error(`no answer within ${request.timeoutMs} ms`)));
      const signal = AbortSignal.any([ending.signal, closing.signal]);
      try {
        return { kind: "answered", status: await attempt(request, signal) };
      } catch (cause) {
        const reason = (signal.aborted ? signal.reason : cause) as Error;
        return { kind: cause instanceof Refused ? "refused" : "failed", message: reason.message };
      } finally {
        timer.cancel();
      }
    },
    close: () => closing.abort(new Error("the server stops")),
  };
}

/** Resolving a name can't be cut short. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The status. The connection is made to the addresses that were checked, whatever the name resolves to by now. */
async function sent(
  url: URL,
  addresses: readonly OutboundAddress[],
  headers: OutboundRequest["headers"],
  body: Uint8Array,
  signal: AbortSignal,
): Promise<number> {
  const pinned: LookupFunction = (_name, options, answer) => {
    const [first] = addresses;
    if (options.all === true) answer(null, [...addresses]);
    else answer(null, first?.address ?? "", first?.family);
  };
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
    method: "POST",
    headers: { ...headers, "content-length": String(body.byteLength) },
    maxHeaderSize: HEADER_BYTES_MAX,
    // One connection for each request: none is left to be used for another name.
    agent: false,
    lookup: pinned,
    signal,
  });
  request.on("response", (response) => discard(response, () => resolve(response.statusCode ?? 0), reject));
  request.on("error", reject);
  request.end(body);
  return await promise;
}

function discard(response: IncomingMessage, done: () => void, failed: (cause: Error) => void): void {
  let bytes = 0;
  response.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= ANSWER_BYTES_MAX) return;
    done();
    response.destroy();
  });
  response.on("end", done);
  response.on("error", failed);
}
