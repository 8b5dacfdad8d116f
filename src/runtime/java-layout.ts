// How Java functions are started: by AWS's own client of the Runtime API, which is a library on the class path.
import { join } from "node:path";
import { MANAGED_ENV, wrapped, type Interpreter } from "./managed-environment.ts";
import { JAVA_CLIENT_DIRECTORY } from "./pins.ts";
import type { RuntimeLayout } from "./settings.ts";

/** AWS's share of the memory for the heap, and its choices for short lives. */
const HEAP_SHARE = 0.85;
const FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const CLASSES = "/var/runtime/lib/*:/var/task:/var/task/lib/*:/opt/java/lib/*";
const MAIN = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda";
const PROGRAM = "/var/lang/bin/java";

export function javaLayout(runtimesDirectory: string, { mounts, env, version }: Interpreter): RuntimeLayout {
  const command = (memoryMiB: number) => [
    PROGRAM,
    `-XX:MaxHeapSize=${Math.floor(memoryMiB * 1024 * HEAP_SHARE)}k`,
    ...FLAGS,
    "-cp",
    CLASSES,
    MAIN,
  ];
  return {
    argv: [PROGRAM],
    argvFor: (settings) => wrapped(settings, command(settings.memoryMiB)),
    takesHandler: true,
    mounts: [...mounts, { source: join(runtimesDirectory, JAVA_CLIENT_DIRECTORY), target: "/var/runtime" }],
    env: { ...env, ...MANAGED_ENV },
    protocol: "runtime-api",
    version,
  };
}
