import { Failure } from '../model/failure.js'
import { hostAndPort } from '../model/host_and_port.js'

/** Encryption and trust of a connection, like libpq's `sslmode`. */
interface TlsWish {
  mode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** Files with root certificates, the client's certificate and its key; null for none. */
  rootCert: string | null
  cert: string | null
  key: string | null
  keyPassword: string | null
}

/** The target of a URL. */
export interface Address {
  /** A host name, an IP address without brackets, or the folder of a Unix socket. */
  host: string
  /** The address to connect to, without a look-up of the name; null to look it up. */
  hostAddress: string | null
  port: number
  /** Empty if the URL has none: the driver then uses the name of the system's user. */
  user: string
  password: string
  database: string
  tls: TlsWish
  /** Command-line options for the server, like libpq's `options`. */
  options: string | null
  /** Parameters of the URL that are not sent to the server: unknown ones, and those without effect here. */
  ignored: string[]
  /** True if the URL declares a pooler that shares sessions (`pgbouncer=true`). */
  shared: boolean
}

/** Decodes a part of a URL. Null if its % codes are invalid. */
function plainText(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return null
  }
}

/** The parts of a URL. The class URL is not used, because it refuses a user without a host. */
const urlParts = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i

/** Whether a parameter, as it is written, has a secret value, also a misspelt one or another tool's. */
const isSecret = (pair: string): boolean => {
  const name = pair.split('=')[0]!
  return /pass|pwd|secret|token/i.test(plainText(name) ?? name)
}

/** The mode for each sslmode of libpq, and for other common values. */
const tlsModes: Record<string, TlsWish['mode']> = {
  disable: 'disable',
  false: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  require: 'require',
  'no-verify': 'require',
  true: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
}

/** Parameters that are used here. libpq's others, and those of other tools, have no effect. */
const readParameters = new Set(
  'host hostaddr port dbname user password sslmode ssl sslrootcert sslcert sslkey sslpassword options'.split(
    ' ',
  ),
)

/** Reads a URL as libpq does. Throws BAD_URL, which shows nothing of a URL that cannot be read. */
export function readAddress(url: string): Address {
  const bad = (reason: string) => new Failure('BAD_URL', maskUrl(url), { reason })
  const found = urlParts.exec(url)
  if (!found) {
    const raw = /^postgres(ql)?:\/\/[^?]*[/#?][^@]*@/i.test(url)
    throw bad(raw ? 'a / ? # or @ in its password is not encoded' : 'it is not a URL')
  }
  const [, scheme, userInfo = '', place = '', path = '', query = ''] = found
  if (!/^postgres(ql)?$/i.test(scheme!)) throw bad(`it starts with \`${scheme}://\``)
  // a / in the password would divide the URL at the wrong place
  if (path.includes('@')) throw bad('a / ? # or @ in its password is not encoded')
  if (userInfo.includes('@')) throw bad('an @ in its user or password is not encoded')
  const decoded = (part: string) => {
    const plain = plainText(part)
    if (plain === null) throw bad('a % in it is not followed by two hexadecimal digits')
    if (plain.includes('\0')) throw bad('there is a null byte in it')
    return plain
  }
  const given = new Map<string, string>()
  for (const pair of query.split('&').filter(Boolean)) {
    const at = pair.indexOf('=')
    const name = decoded(at < 0 ? pair : pair.slice(0, at))
    given.set(name, at < 0 ? '' : decoded(pair.slice(at + 1).replaceAll('+', '%20')))
  }
  const colon = userInfo.indexOf(':')
  const user = decoded(colon < 0 ? userInfo : userInfo.slice(0, colon)) || given.get('user') || ''
  const password = (colon < 0 ? '' : decoded(userInfo.slice(colon + 1))) || given.get('password') || ''
  if (place.includes(',')) throw bad('it names several hosts: name the primary alone')
  const [, bracketed, bare, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(place) ?? []
  if (bracketed === undefined && bare === undefined) throw bad('its host and port cannot be read')
  const host = decoded(bracketed ?? bare ?? '') || given.get('host') || given.get('hostaddr') || 'localhost'
  const port = Number(digits || given.get('port') || 5432)
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw bad('its port is not between 1 and 65535')
  const mode = tlsModes[given.get('sslmode') ?? given.get('ssl') ?? 'prefer']
  if (!mode) throw bad('its sslmode is none that PostgreSQL has')
  const rootCert = given.get('sslrootcert') || null
  return {
    host,
    hostAddress: given.get('hostaddr') || null,
    port,
    user,
    password,
    database: decoded(path) || given.get('dbname') || user || 'postgres',
    tls: {
      // like libpq: with root certificates `require` verifies them, and `system` verifies the host name
      mode: rootCert === 'system' ? 'verify-full' : mode === 'require' && rootCert ? 'verify-ca' : mode,
      rootCert: rootCert === 'system' ? null : rootCert,
      cert: given.get('sslcert') || null,
      key: given.get('sslkey') || null,
      keyPassword: given.get('sslpassword') || null,
    },
    options: given.get('options') || null,
    ignored: [...given.keys()].filter(name => !readParameters.has(name)),
    shared: given.get('pgbouncer') === 'true',
  }
}

/** A URL with parameters of libpq added. */
export function urlOf(parameters: Record<string, string>, url = 'postgres://'): string {
  const added = Object.entries(parameters).map(pair => pair.map(encodeURIComponent).join('='))
  return `${url}${url.includes('?') ? '&' : '?'}${added.join('&')}`
}

/** Host and port of a URL, to show. */
export const addressOf = (url: string): string => hostAndPort(readAddress(url))

/** The URL with masked passwords. A URL that cannot be read is not shown at all. */
export function maskUrl(url: string): string {
  const found = urlParts.exec(url)
  if (!found || found[2]?.includes('@') || found[4]?.includes('@')) return '(unreadable URL)'
  const [, scheme, userInfo, place, path, query] = found
  const user = userInfo === undefined ? '' : `${userInfo.replace(/:.*$/s, ':***')}@`
  const shown = query?.split('&').map(pair => (isSecret(pair) ? pair.replace(/=.*$/s, '=***') : pair))
  return `${scheme}://${user}${place}${path === undefined ? '' : `/${path}`}${shown ? `?${shown.join('&')}` : ''}`
}

/** The secrets in a URL, as written and decoded, longest first. */
export function secretsIn(url: string): string[] {
  const found = urlParts.exec(url)
  const written = [
    found?.[2]?.replace(/^[^:]*:?/, ''),
    ...(found?.[5] ?? '')
      .split('&')
      .filter(isSecret)
      .map(pair => pair.replace(/^[^=]*=?/, '')),
  ]
  const all = written.flatMap(secret => (secret ? [secret, plainText(secret) ?? secret] : []))
  return [...new Set(all)].sort((a, b) => b.length - a.length)
}
