// Every quota, with AWS's name, value and source.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html unless a line says otherwise.

export const limits = {
  /** "Deployment package (.zip file archive) size", direct upload. */
  zippedBytesMax: 52_428_800,
  /** "Deployment package size", unzipped, layers included. */
  unzippedBytesMax: 262_144_000,
  /** "Container image code package size", uncompressed, layers included. */
  imageBytesMax: 10 * 2 ** 30,
  /** Of one layer of an image; our own bound: distributions have some 100,000 files. */
  imageLayerEntriesMax: 500_000,
  /** "Container image settings", as JSON. */
  imageConfigBytesMax: 16_384,
  /** "Function layers", of one function. */
  layersMax: 5,
  /** Entries of one archive: what its central directory can count without zip64. */
  zipEntriesMax: 65_535,
  /** Body of CreateFunction, UpdateFunctionCode and PublishLayerVersion: the zip in base64 and the other members (seen on AWS). */
  createFunctionBodyBytesMax: 70_167_211,
  /** "Invocation payload", synchronous request. */
  invokePayloadBytesMax: 6_291_456,
  /** "Invocation payload", asynchronous request. */
  eventPayloadBytesMax: 1_048_576,
  /** Arguments of InvokeAsync. https://docs.aws.amazon.com/lambda/latest/api/API_InvokeAsync.html */
  invokeAsyncBytesMax: 262_144,
  /** Attempts after the first one. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html */
  eventRetriesMax: 2,
  /** How long an event is kept in the queue, in seconds. */
  eventAgeSecondsMax: 21_600,
  /** "Environment variables", the map as compact JSON. */
  environmentBytesMax: 4_096,
  /** "Memory", in MB. */
  memoryMiBMax: 10_240,
  /** "Function timeout", in seconds. */
  timeoutSecondsMax: 900,
  /** "/tmp directory storage", in MB. */
  ephemeralStorageMiBMax: 10_240,
  /** Name of a function. https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html */
  functionNameLengthMax: 64,
  /** X-Amz-Client-Context, in bytes of base64. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html */
  clientContextBytesMax: 3_583,
  /** "Concurrent executions", per account and region. */
  accountConcurrency: 1_000,
  /** What must be left for functions that have reserved nothing. */
  unreservedConcurrencyMin: 100,
  /** "Storage for uploaded functions", per account and region. */
  totalCodeBytes: 322_122_547_200,
  /** "Function resource-based policy", as JSON. */
  functionPolicyBytesMax: 20_480,
  /** Tags of one resource. https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html */
  tagsMax: 50,
  /** Items on one page of ListFunctions, whatever MaxItems says. */
  pageItemsMax: 50,
  /** Items on one page of ListEventSourceMappings, whatever MaxItems says. */
  eventSourceMappingsPageMax: 100,
  /** Filters of an event source mapping: 5, and on AWS up to 10 on request. https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html */
  filtersMax: 10,
  /** Messages of one batch from a FIFO queue. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html */
  fifoBatchMax: 10,
  /** Validity of the URL in answers of GetFunction and GetLayerVersion, in seconds. https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html */
  codeUrlSeconds: 600,
} as const;
