import { createHash } from 'node:crypto'

/** sha1 or sha256 of a text in UTF-8, as hexadecimal digits. */
export const digestOf = (algorithm: 'sha1' | 'sha256', text: string): string =>
  createHash(algorithm).update(text).digest('hex')

/** The CRC32 table: for each byte value, its contribution. */
const crcOfByte = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** Unsigned CRC32 of a text in UTF-8. Node has its own only from version 22 on. */
export function crc32(text: string): number {
  let crc = 0xffffffff
  for (const byte of Buffer.from(text)) crc = (crc >>> 8) ^ crcOfByte[(crc ^ byte) & 255]!
  return (crc ^ 0xffffffff) >>> 0
}
