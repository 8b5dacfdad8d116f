// The commands reach the server as everybody does: through the AWS SDK, with the keys of the environment or of the data directory.
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { IAMClient } from "@aws-sdk/client-iam";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { clientEnvironment, type Config } from "../config.ts";
import { readInstallKeys } from "../install-keys.ts";
import { CliError } from "./terminal.ts";

export interface Connection {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
}

export const endpointOf = (config: Config): string =>
  `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${config.port}`;

/**
 * The environment's settings win as long as they are complete, so that `eval "$(lambent env)"` decides which server is meant; a flag that names one
 * wins over them.
 */
export async function connection(config: Config): Promise<Connection> {
  const { endpoint, accessKeyId, secretAccessKey, sessionToken, region: usual } = clientEnvironment();
  const { given } = config;
  if (given.server) return await ownConnection(config);
  if (endpoint !== undefined && !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ""))
    throw new CliError(`AWS_ENDPOINT_URL: "${endpoint}" is no URL such as http://127.0.0.1:4566`, 2);
  if (endpoint === undefined || accessKeyId === undefined || secretAccessKey === undefined) return await ownConnection(config);
  return {
    endpoint,
    region: given.region ? config.region : (usual ?? config.region),
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  };
}

/** With the keys that lie in the data directory. */
async function ownConnection(config: Config): Promise<Connection> {
  const keys = await readInstallKeys(config.dataDirectory);
  if (keys === undefined)
    throw new CliError(
      `there is no Lambent installation in ${config.dataDirectory}: start one with  ./lambent up  (or name it with --data)`,
    );
  return { endpoint: endpointOf(config), region: config.region, credentials: keys };
}

export interface Clients {
  readonly lambda: LambdaClient;
  readonly iam: IAMClient;
  readonly logs: CloudWatchLogsClient;
}

export function clientsFor(to: Connection): Clients {
  const settings = { endpoint: to.endpoint, region: to.region, credentials: to.credentials, maxAttempts: 1 };
  return {
    lambda: new LambdaClient(settings),
    iam: new IAMClient(settings),
    // Live tail's `streaming-` host prefix has no meaning on an endpoint of one's own.
    logs: new CloudWatchLogsClient({ ...settings, disableHostPrefix: true }),
  };
}
