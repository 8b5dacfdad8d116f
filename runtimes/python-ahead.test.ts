// boto3 that was loaded before there was a function, with every Python of this machine: a function sees what it sees without.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { findHostPythons, type HostPython } from "../src/runtime/host-pythons.ts";
import { pythonSdkOf } from "../src/runtime/pins.ts";
import { BootstrapProcess } from "./bootstrap-process.ts";

const config = loadConfig();
const BOOTSTRAP = join(import.meta.dirname, "python", "bootstrap.py");
const VARIABLES = {
  AWS_REGION: "eu-central-1",
  AWS_DEFAULT_REGION: "eu-central-1",
  AWS_ACCESS_KEY_ID: "AKIDOFTHEFUNCTION",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_SESSION_TOKEN: "token",
  AWS_EXECUTION_ENV: "AWS_Lambda_python",
  TZ: "Asia/Tokyo",
};

interface Case {
  readonly title: string;
  /** Text of app.py before the handler. */
  readonly code: string;
  /** What the handler returns. */
  readonly result: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly variables?: Readonly<Record<string, string>>;
  /** What it is, besides being the same as without. */
  readonly expected?: unknown;
  /** The modules that were loaded ahead are not used at all. */
  readonly isForgotten?: true;
  /** With every Python; the others with the first that is found. */
  readonly isEverywhere?: true;
}

const BOTO3 = "import boto3";
const MODULES = "sorted(name for name in sys.modules)";
const sources = (sdk: string) => readFileSync(join(sdk, "six.py"), "utf8");

const cases = (sdk: string): readonly Case[] => [
  { title: "nothing is loaded that was not asked for", code: "", result: MODULES },
  ...["boto3", "botocore.session", "urllib3", "logging", "json", "s3transfer", "dateutil.parser, decimal", "concurrent.futures"].map(
    (name) => ({ title: `modules after import ${name}`, code: `import ${name}`, result: MODULES }),
  ),
  {
    title: "modules after clients and resources",
    isEverywhere: true,
    code: `${BOTO3}\nboto3.client('s3')\nboto3.resource('dynamodb').Table('t')`,
    result: MODULES,
  },
  {
    title: "a client has the function's region, credentials, endpoint, proxy and retries",
    isEverywhere: true,
    code: `${BOTO3}\nclient = boto3.client('sqs')\nkeys = client._request_signer._credentials`,
    result:
      "[client.meta.region_name, client.meta.endpoint_url, keys.access_key, keys.token, client.meta.config.retries, client._endpoint.http_session._proxy_config._proxies.get('https')]",
    variables: { AWS_ENDPOINT_URL: "http://127.0.0.1:7", AWS_MAX_ATTEMPTS: "7", AWS_RETRY_MODE: "standard", HTTPS_PROXY: "http://proxy:1" },
    expected: [
      "eu-central-1",
      "http://127.0.0.1:7",
      "AKIDOFTHEFUNCTION",
      "token",
      { total_max_attempts: 7, mode: "standard" },
      "http://proxy:1",
    ],
  },
  {
    title: "nothing is left of the client that was made before",
    code: `${BOTO3}, gc\nsessions = [one for one in gc.get_objects() if type(one).__name__ in ('Session', 'Credentials', 'BaseClient', 'STS')]`,
    result: "[boto3.DEFAULT_SESSION, len(sessions)]",
    expected: [null, 0],
  },
  {
    title: "data of services from elsewhere",
    code: `import os\n${BOTO3}\nos.makedirs('models/acme/2020-01-01')\nopen('models/acme/2020-01-01/service-2.json', 'w').write('{}')\nos.environ['AWS_DATA_PATH'] = os.path.abspath('models')`,
    result: "['acme' in boto3.Session().get_available_services(), len(boto3.Session().get_available_services()) > 300]",
    expected: [true, true],
  },
  {
    title: "botocore's classes are as they were, and a second session reads for itself",
    code: `${BOTO3}, botocore.loaders as l\none, two = [boto3.Session() for _ in range(2)]\none.client('s3')\ntwo.client('s3')`,
    result:
      "[l.JSONFileLoader.load_file.__qualname__, l.Loader.list_available_services.__qualname__, one._loader.load_data('endpoints') is two._loader.load_data('endpoints')]",
    expected: ["JSONFileLoader.load_file", "instance_cache.<locals>._wrapper", false],
  },
  {
    title: "the time zone is the function's",
    code: "import datetime, dateutil.tz",
    result: "datetime.datetime(2020, 1, 1, tzinfo=dateutil.tz.tzlocal()).isoformat()",
    expected: "2020-01-01T00:00:00+09:00",
  },
  {
    title: "a level that is set before the import",
    code: `import logging\nlogging.getLogger('botocore').setLevel('ERROR')\n${BOTO3}`,
    result: "[logging.getLogger('botocore.client').getEffectiveLevel(), [type(one).__name__ for one in logging.root.handlers]]",
    expected: [40, ["LambdaLoggerHandler"]],
  },
  {
    title: "specs, and a reload",
    code: `import importlib, botocore.client\nspec = repr(botocore.client.__spec__)[:60]\nfirst = botocore.client.ClientCreator\nimportlib.reload(botocore.client)`,
    result: "[spec, botocore.client.__cached__, botocore.client.ClientCreator is first]",
  },
  {
    title: "several threads import it at once",
    code: `import threading\ndef work():\n    ${BOTO3}\n    boto3.Session().client('sqs')\nthreads = [threading.Thread(target=work) for _ in range(4)]\n[one.start() for one in threads]\n[one.join() for one in threads]`,
    result: "['boto3' in sys.modules, 'botocore.loaders' in sys.modules]",
    expected: [true, true],
  },
  {
    title: "a directory that is no package is in nobody's way",
    code: BOTO3,
    result: MODULES,
    files: { "html/index.html": "", "json/data.txt": "" },
  },
  {
    title: "the function's own boto3",
    code: BOTO3,
    result: "boto3.own",
    files: { "boto3/__init__.py": "own = 1" },
    expected: 1,
    isForgotten: true,
  },
  {
    title: "the function's own six",
    isEverywhere: true,
    code: `${BOTO3}\nimport six, dateutil.tz`,
    result: `[six.own, sys.modules['dateutil.tz.tz'].six is six]`,
    files: { "six.py": `${sources(sdk)}\nown = 2\n` },
    expected: [2, true],
    isForgotten: true,
  },
  {
    title: "one that comes to the path later, before the import",
    code: `import json, os\nsys.path.insert(0, os.path.abspath('vendor'))\n${BOTO3}\nimport six`,
    result: "six.own",
    files: { "vendor/six.py": `${sources(sdk)}\nown = 3\n` },
    expected: 3,
    isForgotten: true,
  },
  {
    title: "a module of the function's that has the name of one of Python's",
    isEverywhere: true,
    code: "import colorsys, queue",
    result: "[queue.own, 'json' in sys.modules]",
    files: { "queue.py": "own = 4" },
    expected: [4, false],
    isForgotten: true,
  },
  {
    title: "what is optional to boto3 and the function brings along",
    code: BOTO3,
    result: "'awscrt' in sys.modules",
    files: { "awscrt/__init__.py": "" },
    expected: true,
    isForgotten: true,
  },
  {
    title: "a home that the function has chosen",
    code: `import os\nos.environ['HOME'] = '/tmp/home'\n${BOTO3}, botocore.loaders`,
    result: "botocore.loaders.Loader.CUSTOMER_DATA_PATH",
    expected: "/tmp/home/.aws/models",
    isForgotten: true,
  },
  {
    title: "hooks of the function's see every import",
    code: `seen = []\nclass Hook:\n    def find_spec(self, name, path=None, target=None):\n        seen.append(name)\nsys.meta_path.insert(0, Hook())\n${BOTO3}`,
    result: "['botocore.client' in seen, 'urllib3.util.retry' in seen]",
    expected: [true, true],
    isForgotten: true,
  },
];

async function answerOf(python: HostPython, sdk: string, one: Case, loads?: string): Promise<unknown> {
  const took = "[type(finder).__module__ for finder in sys.meta_path].count('lambent_ahead')";
  const app = `import sys\n${one.code}\ndef handler(event, context):\n    return [${one.result}, ${took}]\n`;
  const process = await BootstrapProcess.start({
    argv: [python.interpreter, "-S", "-u", BOOTSTRAP],
    handler: "app.handler",
    files: { ...one.files, "app.py": app },
    env: { PYTHONPATH: sdk },
    variables: { ...VARIABLES, ...one.variables },
    isPrepared: true,
    ...(loads === undefined ? {} : { loads }),
  });
  try {
    const { type, body } = await process.frame();
    assert.equal(type, "R", body.toString());
    const { value } = await process.invoke({});
    assert.ok(Array.isArray(value), JSON.stringify(value));
    const [answer, finders] = value as [unknown, number];
    if (loads !== undefined) assert.equal(finders, one.isForgotten === true ? 0 : 1, "it has been asked for what it has");
    return JSON.parse(JSON.stringify(answer).replaceAll(process.directory, "DIRECTORY")) as unknown;
  } finally {
    await process.dispose();
  }
}

for (const [index, python] of findHostPythons(config.pythonSearchPath).entries()) {
  const sdk = join(config.runtimesDirectory, pythonSdkOf(python.runtime).name);
  const skip = existsSync(join(sdk, "version")) ? false : `needs the AWS SDK of ${python.runtime}`;
  describe(python.runtime, { skip, concurrency: 2 }, () => {
    if (skip !== false) return;
    for (const one of cases(sdk).filter(({ isEverywhere }) => index === 0 || isEverywhere === true))
      test(one.title, async () => {
        const expected = await answerOf(python, sdk, one);
        assert.deepEqual(await answerOf(python, sdk, one, "boto3"), expected);
        if (one.expected !== undefined) assert.deepEqual(expected, one.expected);
      });
  });
}
