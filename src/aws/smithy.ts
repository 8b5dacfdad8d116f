// Everything that the wire uses of the official SDK's runtime: exact versions, one place to look when an upgrade breaks.
// oxlint-disable oxc/no-barrel-file -- the one file that knows where the SDK keeps what we use; nothing else imports its runtime
export { NormalizedSchema } from "@smithy/core/schema";
export { cbor, dateToTag } from "@smithy/core/cbor";
export { EventStreamCodec, type MessageHeaders } from "@smithy/core/event-streams";
export { dateToUtcString, fromUtf8, quoteHeader, splitHeader, toUtf8 } from "@smithy/core/serde";
