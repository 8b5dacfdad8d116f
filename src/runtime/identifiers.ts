// Every runtime identifier of the API, and how AWS treats it.

/** `deprecated`: still accepted for new functions. `blocked`: no longer. AWS's table as of 2026-11-23. */
export type RuntimeSupport = "preview" | "active" | "deprecated" | "blocked";

const IDENTIFIERS: Readonly<Record<RuntimeSupport, string>> = {
  preview: "nodejs26.x python3.15",
  active:
    "nodejs24.x nodejs22.x python3.14 python3.13 python3.12 python3.11 java25 java21 java17 java17.al2023 java11 java11.al2023 " +
    "java8.al2 java8.al2023 dotnet10 ruby4.0 ruby3.4 ruby3.3 provided.al2023",
  deprecated: "python3.10 dotnet8",
  blocked:
    "nodejs20.x nodejs18.x nodejs16.x nodejs14.x nodejs12.x nodejs10.x nodejs8.10 nodejs6.10 nodejs4.3 nodejs4.3-edge nodejs " +
    "python3.9 python3.8 python3.7 python3.6 python2.7 java8 dotnet6 dotnetcore3.1 dotnetcore2.1 dotnetcore2.0 dotnetcore1.0 " +
    "ruby3.2 ruby2.7 ruby2.5 go1.x provided.al2 provided",
};

export const KNOWN_RUNTIMES: ReadonlyMap<string, RuntimeSupport> = new Map(
  (Object.keys(IDENTIFIERS) as RuntimeSupport[]).flatMap((support) =>
    IDENTIFIERS[support].split(" ").map((identifier) => [identifier, support] as const),
  ),
);
