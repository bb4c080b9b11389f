import { EventEmitter } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Failure } from '../model/failure.js'
import { hostAndPort } from '../model/host_and_port.js'
import type { Address } from './address.js'
import { messages } from './messages.js'

/** First bytes of what PostgreSQL answers to a start-up: authentication, error, notice, version. */
const firstBytes = new Set([...'RENv'].map(byte => byte.charCodeAt(0)))
/** Messages of a client that the server answers with ReadyForQuery: query, sync, function call. */
const asked = new Set([...'QSF'].map(byte => byte.charCodeAt(0)))
const [describe, flush, sync, readyForQuery, errorResponse] = [...'DHSZE'].map(byte => byte.charCodeAt(0))

/** An error by a code that says that the connection is gone. */
const closedBy = (reason: string): Error => Object.assign(new Error(reason), { code: 'CONNECTION_CLOSED' })

/**
 * The socket as the driver sees it. It knows whether an answer is due, refuses what is no PostgreSQL, and
 * when the connection breaks it says `error` at once, but `close` only when `letGo` says so: between the two
 * the driver (postgres.js 3.4.9) would write to a socket that it has forgotten, a TypeError that nobody can
 * catch.
 *
 * A statement with parameters goes in two messages: the driver asks for their types and flushes, then binds.
 * Between the two the server would count the statement as at work, for ever if the client is gone: neither
 * `idle_in_transaction_session_timeout` nor a look from beside would end it and its locks. So the flush
 * becomes a sync, after which the server is idle, and the ReadyForQuery that answers it is kept from the
 * driver.
 */
export class Wire extends EventEmitter {
  readonly host: string
  readonly port: number
  /** True once the connection broke, not where it was closed on purpose. */
  lost = false
  /** What broke it. */
  fault: Error | null = null
  /** Called when it broke. */
  onLost = (): void => {}
  private ending = false
  private received = 0
  /** What is due from the server, in order: true for a ReadyForQuery that the driver waits for. */
  private readonly due: boolean[] = []
  private why: string | null = null
  private readonly fromClient: (chunk: Buffer) => Buffer[]
  private readonly fromServer: (chunk: Buffer) => Buffer[]

  constructor(
    private readonly socket: Socket,
    { host, port }: Address,
  ) {
    super()
    this.host = host
    this.port = port
    let before = 0
    this.fromClient = messages(false, (type, message) => {
      // the start-up, which has no type, is answered too
      if (type === 0 || asked.has(type)) this.due.push(true)
      if (type === flush && before === describe) {
        message[0] = sync!
        this.due.push(false)
      }
      before = type
      return true
    })
    this.fromServer = messages(true, (type, message) => {
      if (type === errorResponse) this.why = fatalReason(message.subarray(5)) ?? this.why
      return type !== readyForQuery || this.due.shift() !== false
    })
    socket.on('data', chunk => this.take(chunk))
    socket.on('drain', () => this.emit('drain'))
    socket.on('error', error => this.break(error))
    socket.on('close', () => this.break(closedBy(this.why ?? 'the server closed the connection')))
  }

  /** Whether the server owes an answer. */
  get waiting(): boolean {
    return this.due.length > 0
  }

  /** Grows with every byte that the server sends or the system takes from us. */
  get moved(): number {
    return this.received + this.socket.bytesWritten - this.socket.writableLength
  }

  /** What the driver reads before it waits for an end. */
  get readyState(): string {
    return this.lost ? 'closed' : this.socket.readyState
  }

  write(chunk: Buffer, done?: () => void): boolean {
    if (this.lost) {
      queueMicrotask(() => this.fail(closedBy(this.why ?? 'the connection is gone')))
      return true
    }
    // what was read is sent, changed as it is: a head in two pieces goes with the second one
    const pieces = this.fromClient(chunk)
    return this.socket.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), done)
  }

  end(chunk: Buffer): void {
    this.ending = true
    if (!this.lost) this.socket.end(chunk)
  }

  destroy(): void {
    this.ending = true
    this.socket.destroy()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Ends a connection that is no use any more. */
  break(error: Error): void {
    if (this.lost) return
    if (this.ending) {
      this.emit('close', false)
      return
    }
    this.lost = true
    this.fault = error
    this.socket.destroy()
    this.fail(error)
    this.onLost()
  }

  /** Says `close` to the driver, once it takes no more statements. */
  letGo(): void {
    this.emit('close', false)
  }

  /** An `error` to which nobody listens would end the process. */
  private fail(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error)
  }

  private take(chunk: Buffer): void {
    if (this.received === 0 && !firstBytes.has(chunk[0]!)) {
      this.break(new Failure('NO_SERVER', hostAndPort(this), notPostgres))
      return
    }
    this.received += chunk.length
    for (const piece of this.fromServer(chunk)) this.emit('data', piece)
  }
}

/** What is said of a server that speaks another protocol. */
const notPostgres = { code: 'NOT_POSTGRES', reason: 'what answers there is not PostgreSQL' }

/** The reason of a fault after which the server closes the connection; null for any other. */
function fatalReason(body: Buffer): string | null {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map(field => [field[0], field.slice(1)]),
  )
  return /^(FATAL|PANIC)$/.test(fields.get('V') ?? '') ? (fields.get('M') ?? null) : null
}

/**
 * Connects to an address, encrypted as it wishes. Throws what the system says, or TLS_FAILED. `signal` ends
 * the attempt.
 */
export async function openWire(address: Address, signal: AbortSignal): Promise<Wire> {
  const { host, hostAddress, port, tls } = address
  const local = host.startsWith('/')
  const socket = local
    ? connectTcp({ path: `${host}/.s.PGSQL.${port}` })
    : connectTcp({ host: hostAddress ?? host, port })
  const end = () => void socket.destroy(closedBy('it took the connection and did not answer'))
  signal.addEventListener('abort', end, { once: true })
  try {
    await once(socket, 'connect')
    socket.setNoDelay(true)
    // a peer that is gone without a word is noticed by the system, too
    socket.setKeepAlive(true, 2_000)
    const plain = local || tls.mode === 'disable' || !(await acceptsTls(socket, address))
    return new Wire(plain ? socket : await encrypt(socket, address), address)
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** Waits for an event of a socket; rejects with its error, or when it closes. */
function once(socket: Socket, event: string): Promise<Buffer> {
  return new Promise((done, failed) => {
    const closed = () => failed(closedBy('the server closed the connection'))
    const settle =
      <T>(then: (value: T) => void) =>
      (value: T) => {
        socket.off(event, settled).off('error', refused).off('close', closed)
        then(value)
      }
    const settled = settle(done)
    const refused = settle(failed)
    socket.once(event, settled).once('error', refused).once('close', closed)
  })
}

/** Asks the server whether it speaks TLS. */
async function acceptsTls(socket: Socket, address: Address): Promise<boolean> {
  const { tls } = address
  const question = Buffer.alloc(8)
  question.writeInt32BE(8, 0)
  question.writeInt32BE(80877103, 4)
  socket.write(question)
  const answer = await once(socket, 'data')
  // more than one byte would come before the encryption, from somebody in between
  if (answer.length === 1 && answer[0] === 'S'.charCodeAt(0)) return true
  if (answer[0] !== 'N'.charCodeAt(0) && answer[0] !== errorResponse)
    throw new Failure('NO_SERVER', hostAndPort(address), notPostgres)
  if (tls.mode !== 'prefer')
    throw new Failure('TLS_FAILED', hostAndPort(address), {
      reason: 'the server does not speak TLS',
      mode: tls.mode,
    })
  return false
}

/** Encrypts a connection; as libpq, only `verify-ca` and `verify-full` ask who the server is. */
async function encrypt(socket: Socket, address: Address): Promise<Socket> {
  const { host, tls } = address
  const fail = (reason: string, cause: unknown) =>
    new Failure('TLS_FAILED', hostAndPort(address), { reason, mode: tls.mode }, cause)
  const file = (path: string | null, what: string) => {
    if (path === null) return undefined
    try {
      // a pipe would be waited for
      if (!statSync(path).isFile()) throw new Error('it is not a file')
      return readFileSync(path)
    } catch (error) {
      throw fail(`${what} \`${path}\` can't be read`, error)
    }
  }
  const secured = connectTls({
    socket,
    // what the certificate is compared with; without it an IP address would be compared as `localhost`
    host,
    ...(isIP(host) ? {} : { servername: host }),
    rejectUnauthorized: tls.mode.startsWith('verify'),
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ca: file(tls.rootCert, 'the root certificate'),
    cert: file(tls.cert, 'the certificate'),
    key: file(tls.key, 'the key'),
    passphrase: tls.keyPassword ?? undefined,
  })
  try {
    await once(secured, 'secureConnect')
  } catch (error) {
    throw fail((error as Error).message, error)
  }
  return secured
}
