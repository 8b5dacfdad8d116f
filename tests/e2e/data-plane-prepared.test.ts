// The data plane's tests once more, with cold starts that find prepared sandboxes.
process.env["LAMBENT_TEST_PREPARED"] = "1";
await import("./data-plane.test.ts");
