// What is published reaches functions and queues, with the rights of the topic, in the form that AWS has for each.
import assert from "node:assert/strict";
import { createVerify, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { AddPermissionCommand } from "@aws-sdk/client-lambda";
import { PublishCommand, SetSubscriptionAttributesCommand } from "@aws-sdk/client-sns";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";
import { makeQueue, makeTopic, queueArn, receive, subscribe } from "./sns.fixture.ts";

const NOTE = { Message: "hello", Subject: "greeting", MessageAttributes: { colour: { DataType: "String", StringValue: "red" } } };
const HEX = /^[0-9a-f]{8}-[0-9a-f]{4}-/;

type Fields = Record<string, unknown>;

async function verified(fields: Fields, names: readonly string[], certificateUrl: string): Promise<boolean> {
  const pem = await (await fetch(certificateUrl)).text();
  const text = names
    .filter((name) => fields[name] !== undefined && fields[name] !== null)
    .map((name) => `${name}\n${String(fields[name])}\n`);
  const verify = createVerify(fields["SignatureVersion"] === "1" ? "RSA-SHA1" : "RSA-SHA256").update(text.join(""));
  return verify.verify(new X509Certificate(pem).publicKey, String(fields["Signature"]), "base64");
}

const SIGNED = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];

test("a function gets the event of one record, signed, and only with the permission", async (t) => {
  const events: { Records: { EventSource: string; EventVersion: string; EventSubscriptionArn: string; Sns: Fields }[] }[] = [];
  const { clients } = await startApi(t, () => (event: unknown) => {
    events.push(event as (typeof events)[number]);
    return null;
  });
  const { lambda, iam, sns, sqs } = clients();
  await makeFunction(lambda, { name: "f", role: await makeRole(iam), code: "" });
  const dead = await makeQueue(sqs, "dead");
  const topic = await makeTopic(sns, "t");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: queueArn("dead") });
  const subscription = await subscribe(sns, topic, "lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", {
    Attributes: { RedrivePolicy },
  });
  await sns.send(new PublishCommand({ TopicArn: topic, Message: "refused" }));
  const [letter] = await receive(sqs, dead);
  assert.equal((JSON.parse(letter?.Body ?? "") as Fields)["Message"], "refused");
  await lambda.send(
    new AddPermissionCommand({
      FunctionName: "f",
      StatementId: "s",
      Action: "lambda:InvokeFunction",
      Principal: "sns.amazonaws.com",
      SourceArn: topic,
    }),
  );
  const { MessageId } = await sns.send(new PublishCommand({ TopicArn: topic, ...NOTE }));
  const event = await eventually("the event", () => events[0]);
  const [record] = event.Records;
  assert.deepEqual(
    [event.Records.length, record?.EventSource, record?.EventVersion, record?.EventSubscriptionArn],
    [1, "aws:sns", "1.0", subscription],
  );
  const Sns = record?.Sns ?? {};
  const { Signature, SigningCertUrl, UnsubscribeUrl, Timestamp, ...rest } = Sns;
  assert.deepEqual(rest, {
    Type: "Notification",
    MessageId,
    TopicArn: topic,
    Subject: "greeting",
    Message: "hello",
    SignatureVersion: "1",
    MessageAttributes: { colour: { Type: "String", Value: "red" } },
  });
  assert.match(String(Timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(String(UnsubscribeUrl).includes("Action=Unsubscribe") && String(Signature).length > 300);
  assert.ok(await verified(Sns, SIGNED, String(SigningCertUrl)));
});

test("a queue gets the envelope, or with RawMessageDelivery the message and its attributes", async (t) => {
  const { clients } = await startApi(t);
  const { sns, sqs } = clients();
  const queue = await makeQueue(sqs, "q");
  const topic = await makeTopic(sns, "t", { SignatureVersion: "2" });
  const subscription = await subscribe(sns, topic, "sqs", queueArn("q"));
  assert.match(subscription.slice(topic.length + 1), HEX);
  const { MessageId } = await sns.send(new PublishCommand({ TopicArn: topic, ...NOTE }));
  const [enveloped] = await receive(sqs, queue);
  const fields = JSON.parse(enveloped?.Body ?? "") as Fields;
  assert.deepEqual(Object.keys(fields), [
    "Type",
    "MessageId",
    "TopicArn",
    "Subject",
    "Message",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
    "UnsubscribeURL",
    "MessageAttributes",
  ]);
  assert.deepEqual([fields["MessageId"], fields["SignatureVersion"], enveloped?.MessageAttributes], [MessageId, "2", undefined]);
  assert.ok(await verified(fields, SIGNED, String(fields["SigningCertURL"])));
  const raw = { SubscriptionArn: subscription, AttributeName: "RawMessageDelivery", AttributeValue: "true" };
  await sns.send(new SetSubscriptionAttributesCommand(raw));
  const binary = { DataType: "Binary", BinaryValue: Buffer.from([1, 2, 3]) };
  await sns.send(new PublishCommand({ TopicArn: topic, ...NOTE, MessageAttributes: { ...NOTE.MessageAttributes, binary } }));
  const [plain] = await receive(sqs, queue);
  assert.equal(plain?.Body, "hello");
  assert.deepEqual(
    [plain.MessageAttributes?.["colour"]?.StringValue, [...(plain.MessageAttributes?.["binary"]?.BinaryValue ?? [])]],
    ["red", [1, 2, 3]],
  );
});
