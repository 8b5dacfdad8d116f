// The errors of S3 with their codes, statuses and texts.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
import { CommonFault } from "../../aws/fault.ts";

export const noSuchBucket = (bucket: string) =>
  new CommonFault("NoSuchBucket", "The specified bucket does not exist", 404, { BucketName: bucket });
export const noSuchKey = (key: string) => new CommonFault("NoSuchKey", "The specified key does not exist.", 404, { Key: key });
export const noSuchVersion = (key: string, versionId: string) =>
  new CommonFault("NoSuchVersion", "The specified version does not exist.", 404, { Key: key, VersionId: versionId });
export const noSuchUpload = (uploadId: string) =>
  new CommonFault(
    "NoSuchUpload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    404,
    { UploadId: uploadId },
  );
export const invalidArgument = (message: string, name: string, value: unknown) =>
  new CommonFault("InvalidArgument", message, 400, { ArgumentName: name, ArgumentValue: String(value) });
export const invalidRequest = (message: string) => new CommonFault("InvalidRequest", message, 400);
export const malformedXml = () =>
  new CommonFault("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", 400);
export const preconditionFailed = (condition: string) =>
  new CommonFault("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412, { Condition: condition });
export const notModified = () => new CommonFault("NotModified", "Not Modified", 304);
export const accessDenied = (message = "Access Denied") => new CommonFault("AccessDenied", message, 403);
export const notImplementedHeader = (header: string) =>
  new CommonFault("NotImplemented", "A header you provided implies functionality that is not implemented", 501, { Header: header });
export const entityTooLarge = (bytes: number, bytesMax: number) =>
  new CommonFault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, {
    ProposedSize: bytes,
    MaxSizeAllowed: bytesMax,
  });
export const incompleteBody = () =>
  new CommonFault("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header", 400);
export const badDigest = (message: string, members: Readonly<Record<string, unknown>> = {}) =>
  new CommonFault("BadDigest", message, 400, members);
export const aclsNotSupported = () => new CommonFault("AccessControlListNotSupported", "The bucket does not allow ACLs", 400);
export const methodNotAllowed = (method: string, resourceType: string) =>
  new CommonFault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405, {
    Method: method,
    ResourceType: resourceType,
  });
export const busy = () => new CommonFault("SlowDown", "Please reduce your request rate.", 503);
export const operationAborted = () =>
  new CommonFault(
    "OperationAborted",
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    409,
  );
