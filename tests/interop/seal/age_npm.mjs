// Stock `age-encryption` from npm, on files. Not here: our head and padding, which are plaintext
// to it.
//
//     node age_npm.mjs keygen  KEY RECIPIENT
//     node age_npm.mjs encrypt PLAINTEXT SEALED RECIPIENT...
//     node age_npm.mjs decrypt SEALED PLAINTEXT KEY

import { readFileSync, writeFileSync } from "node:fs"
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption"

const [verb, one, other, ...keys] = process.argv.slice(2)
const text = (path) => readFileSync(path, "utf8").trim()

if (verb === "keygen") {
    const key = await generateHybridIdentity()
    writeFileSync(one, key)
    writeFileSync(other, await identityToRecipient(key))
} else if (verb === "encrypt") {
    const encrypter = new Encrypter()
    for (const key of keys) encrypter.addRecipient(text(key))
    writeFileSync(other, await encrypter.encrypt(readFileSync(one)))
} else if (verb === "decrypt") {
    const decrypter = new Decrypter()
    for (const key of keys) decrypter.addIdentity(text(key))
    writeFileSync(other, await decrypter.decrypt(readFileSync(one)))
} else {
    throw new Error("keygen, encrypt or decrypt")
}
