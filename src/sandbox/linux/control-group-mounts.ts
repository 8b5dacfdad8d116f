// What the kernel says of control groups: the hierarchies that are mounted, and where a process is in each.

export interface MountedHierarchy {
  readonly version: 1 | 2;
  readonly directory: string;
  /** With version 1, its controllers are among them. */
  readonly options: readonly string[];
}

/** A space, a tab, a newline and a backslash are octal numbers there. */
const unescaped = (path: string): string =>
  path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The text of /proc/self/mounts. */
export function mountedHierarchies(text: string): readonly MountedHierarchy[] {
  return text.split("\n").flatMap((line) => {
    const [, directory = "", type, options = ""] = line.split(" ");
    if (type !== "cgroup" && type !== "cgroup2") return [];
    return [{ version: type === "cgroup" ? 1 : 2, directory: unescaped(directory), options: options.split(",") }];
  });
}

export interface OwnGroup {
  /** `memory`, …, as the hierarchy is called; empty: version 2. */
  readonly controllers: readonly string[];
  readonly path: string;
}

/** The text of /proc/self/cgroup. */
export function ownGroups(text: string): readonly OwnGroup[] {
  return text.split("\n").flatMap((line) => {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return names === undefined || path === undefined ? [] : [{ controllers: names === "" ? [] : names.split(","), path }];
  });
}
