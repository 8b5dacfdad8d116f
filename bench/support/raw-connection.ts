// A keep-alive connection that sends requests as they are and reads whole answers: a client that takes next to nothing of the machine.
import { once } from "node:events";
import { connect } from "node:net";
import type { Prepared } from "./signed-requests.ts";

export interface RawConnection {
  /** One at a time. Resolves with the body of the answer; rejects with the whole of it unless it is a success. */
  call(request: string): Promise<string>;
  close(): void;
}

/** What goes over the wire; headers and body are ASCII. */
export function wireText({ url, headers, body }: Prepared): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${url.pathname} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** Undefined while it is not complete; answers say how long they are. */
function bodyOf(answer: string): string | undefined {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1]);
  return answer.length - end - 4 === length ? answer.slice(end + 4) : undefined;
}

export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  let answer = "";
  let waiting: PromiseWithResolvers<string> | undefined;
  const fail = (cause: Error) => waiting?.reject(cause);
  socket.on("error", fail).on("close", () => fail(new Error("the connection was closed")));
  socket.setEncoding("latin1").on("data", (piece) => {
    answer += String(piece);
    const body = bodyOf(answer);
    if (body === undefined) return;
    if (/^HTTP\/1.1 2/.test(answer)) waiting?.resolve(body);
    else fail(new Error(answer));
    answer = "";
  });
  return {
    call(request) {
      waiting = Promise.withResolvers();
      socket.write(request, "latin1");
      return waiting.promise;
    },
    close: () => socket.destroy(),
  };
}
