// Container images of Debian packages, of another release than this machine's too: fetched by apt from where this machine has its own,
// unpacked, and made a layout by buildah. Kept between test runs.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadConfig } from "../../src/config.ts";

const run = promisify(execFile);
const TOOLS = ["/usr/bin/apt-get", "/usr/bin/dpkg-deb", "/usr/bin/buildah"];
const FETCH_MS_MAX = 240_000;
/** What nothing that runs looks at. */
const LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"];

interface DebianImage {
  readonly suite: string;
  /** With all that they depend on. */
  readonly packages: readonly string[];
}

/** The layout's directory; or why there is none, for a test to be skipped with. */
export async function debianImage(image: DebianImage): Promise<{ readonly layout: string } | { readonly missing: string }> {
  const hash = createHash("sha256").update(JSON.stringify(image)).digest("hex").slice(0, 16);
  const layout = join(loadConfig().runtimesDirectory, "test-images", hash);
  if (existsSync(layout)) return { layout };
  const tool = TOOLS.find((path) => !existsSync(path));
  if (tool !== undefined) return { missing: `needs ${tool}` };
  const work = await mkdtemp(join(tmpdir(), "lambent-debian-"));
  try {
    await fetchPackages(image, work);
    await unpack(work);
    await build(work);
    await mkdir(join(layout, ".."), { recursive: true });
    await run("cp", ["-r", join(work, "layout"), `${layout}.${process.pid}`]);
    await rename(`${layout}.${process.pid}`, layout);
    return { layout };
  } catch (error) {
    const { message, stderr = "" } = error as Error & { stderr?: string };
    return { missing: `${image.packages.join(" ")} of ${image.suite} can't be had: ${message.slice(0, 300)} ${stderr.slice(-300)}` };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Where this machine's own packages of Debian come from, as its apt is set up. */
async function mirror(): Promise<string> {
  const { stdout } = await run("apt-get", ["indextargets", "--format", "$(ORIGIN) $(IDENTIFIER) $(SITE)", "Created-By: Packages"]);
  const site = stdout.split("\n").find((line) => line.startsWith("Debian Packages "));
  if (site === undefined) throw new Error("apt is not set up for packages of Debian");
  return site.split(" ")[2] ?? "";
}

/** As on a machine that has no package yet; nothing of this machine's apt is changed. */
async function fetchPackages({ suite, packages }: DebianImage, work: string): Promise<void> {
  for (const name of ["state/lists/partial", "cache/archives/partial"]) await mkdir(join(work, name), { recursive: true });
  await writeFile(join(work, "status"), "");
  await writeFile(join(work, "sources.list"), `deb ${await mirror()} ${suite} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": join(work, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State": join(work, "state"),
    "Dir::State::status": join(work, "status"),
    "Dir::Cache": join(work, "cache"),
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "APT::Sandbox::User": "root",
    "APT::Install-Recommends": "false",
  };
  const file = join(work, "apt.conf");
  await writeFile(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(""),
  );
  const options = { env: { ...process.env, APT_CONFIG: file, DEBIAN_FRONTEND: "noninteractive" }, timeout: FETCH_MS_MAX };
  await run("apt-get", ["update", "--error-on=any"], options);
  await run("apt-get", ["install", "--yes", "--download-only", "base-files", ...packages], options);
}

async function unpack(work: string): Promise<void> {
  const root = join(work, "root");
  const archives = join(work, "cache", "archives");
  const names = (await readdir(archives)).filter((name) => name.endsWith(".deb"));
  // It has the links from /lib to /usr/lib, which the others count on.
  for (const name of names.toSorted((a, b) => Number(b.startsWith("base-files_")) - Number(a.startsWith("base-files_"))))
    await run("dpkg-deb", ["--extract", join(archives, name), root]);
  for (const name of LEFT_OUT) await rm(join(root, name), { recursive: true, force: true });
}

async function build(work: string): Promise<void> {
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "runroot"), "--storage-driver", "vfs"];
  const buildah = async (...words: string[]) => (await run("buildah", [...storage, ...words])).stdout.trim();
  const container = await buildah("from", "scratch");
  await buildah("copy", container, join(work, "root"), "/");
  await buildah("commit", "--disable-compression=false", container, `oci:${join(work, "layout")}`);
}
