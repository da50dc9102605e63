// Whose pass is this? Needs nothing but Node 18 or newer.
import { createPublicKey, verify as isSigned } from "node:crypto";

export async function verify(baseUrl, campaign, text) {
  const [head, claims, signature, ...rest] = text.split(".").map((part) => Buffer.from(part, "base64url"));
  const { alg, kid } = JSON.parse(head);
  const { keys } = await (await fetch(`${baseUrl}/.well-known/jwks.json`)).json();
  const key = keys.find((key) => key.kid === kid && key.crv === "Ed25519");
  if (alg !== "EdDSA" || !key || !signature || rest.length > 0) throw new Error("no pass of these keys");
  const signed = Buffer.from(text.slice(0, text.lastIndexOf(".")));
  if (!isSigned(null, signed, createPublicKey({ key, format: "jwk" }), signature)) throw new Error("not signed by its key");
  const { iss, aud, sub, exp } = JSON.parse(claims);
  if (iss !== "onrush" || aud !== campaign || !sub) throw new Error("not a pass for this campaign");
  if (!(exp * 1000 > Date.now())) throw new Error("the pass has expired");
  return sub;
}

const refuse = (why) => { console.error(`refused: ${why.message}`); process.exitCode = 1; };
verify(...process.argv.slice(2)).then(console.log, refuse);
