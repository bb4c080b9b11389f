import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** A certificate and its key, by their files. */
export interface Certificate {
  cert: string
  key: string
}

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })

/** A root that signs for itself, in files that begin with a name. */
export function rootCertificate(folder: string, name: string): Certificate {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${name}`, '-keyout', made.key, '-out', made.cert],
  )
  return made
}

/** A server's certificate, signed by a root, for a host's name. */
export function serverCertificate(folder: string, root: Certificate, host: string): Certificate {
  const made = { cert: join(folder, 'server.crt'), key: join(folder, 'server.key') }
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      `/CN=${host}`,
      '-addext',
      `subjectAltName=DNS:${host}`,
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    ],
    ...['-CA', root.cert, '-CAkey', root.key, '-keyout', made.key, '-out', made.cert],
  )
  return made
}
