// An identifier is served by its own major version of Java and by no other, whatever installations are called.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findHostJava, JAVA_RUNTIMES } from "./host-javas.ts";

let jvm: string;
before(async () => (jvm = await mkdtemp(join(tmpdir(), "lambent-jvm-"))));
after(() => rm(jvm, { recursive: true }));

async function install(name: string, release: string | undefined): Promise<void> {
  await mkdir(join(jvm, name, "bin"), { recursive: true });
  await writeFile(join(jvm, name, "bin", "java"), "");
  if (release !== undefined) await writeFile(join(jvm, name, "release"), release);
}

const javaFor = (identifier: string) => findHostJava([join(jvm, "nowhere"), jvm], JAVA_RUNTIMES.get(identifier) ?? 0)?.version;

test("java21 is Java 21: neither an older, nor a newer one, nor one that only has the name", async () => {
  await install("java-17-openjdk-amd64", 'JAVA_VERSION="17.0.15"\n');
  await install("java-21-openjdk-amd64", 'JAVA_VERSION="17.0.15"\n');
  await install("java-21-broken", undefined);
  await install("java-22", 'JAVA_VERSION="22.0.2"\n');
  await install("java-8", 'JAVA_VERSION="1.8.0_462"\n');
  await install("java-210", 'JAVA_VERSION="210.0.1"\n');
  assert.equal(javaFor("java21"), undefined);
  assert.equal(javaFor("java25"), undefined);
  assert.deepEqual([javaFor("java17"), javaFor("java17.al2023")], ["17.0.15", "17.0.15"]);
  await install("a", 'IMPLEMENTOR="Eclipse Adoptium"\nJAVA_VERSION="21.0.9"\n');
  await install("b", 'JAVA_VERSION="21.0.10"\n');
  await install("c", 'JAVA_VERSION="21"\n');
  assert.equal(javaFor("java21"), "21.0.10", "of several the newest");
  assert.equal(javaFor("java17"), "17.0.15");
});

test("what is no identifier of a version of Java has none", () => {
  for (const identifier of ["java8", "java8.al2", "java22", "java"]) assert.equal(javaFor(identifier), undefined, identifier);
});
