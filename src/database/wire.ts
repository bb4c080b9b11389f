import { EventEmitter } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Failure } from '../model/failure.js'
import { hostAndPort } from '../model/host_and_port.js'
import type { Address } from './address.js'
import { messages } from './messages.js'

/** First bytes of PostgreSQL's answers to a start-up: authentication, error, notice, version. */
const firstBytes = new Set([...'RENv'].map(byte => byte.charCodeAt(0)))
/** Messages of a client that the server answers with ReadyForQuery: query, sync, function call. */
const asked = new Set([...'QSF'].map(byte => byte.charCodeAt(0)))
const [describe, flush, sync, readyForQuery, errorResponse] = [...'DHSZE'].map(byte => byte.charCodeAt(0))

/** Why a server closes a connection: its SQLSTATE and message. */
interface LastWord {
  sqlstate: string
  reason: string
}

/** An error with a code that means a lost connection. */
const closedBy = (reason: string, sqlstate: string | null = null): Error =>
  Object.assign(new Error(reason), { code: 'CONNECTION_CLOSED', sqlstate })

/**
 * The socket for the driver. It knows whether an answer is due, and refuses a server that is not PostgreSQL.
 * When the connection is lost it emits `error` at once, but `close` only when `letGo` is called. In between,
 * the driver (postgres.js 3.4.9) would write to a closed socket and raise a TypeError that cannot be caught.
 * The driver sends a statement with parameters in two messages: it asks for their types and flushes, then it
 * binds. In between, the server counts the statement as running. If the client is gone, neither
 * `idle_in_transaction_session_timeout` nor a look from another session would end it and its locks. So the
 * flush is replaced by a sync, after which the server is idle. The ReadyForQuery for it is not passed to the
 * driver.
 */
export class Wire extends EventEmitter {
  readonly host: string
  readonly port: number
  /** True once the connection was lost; not if it was closed on purpose. */
  lost = false
  /** The error that ended it. */
  fault: Error | null = null
  /** Called when the connection is lost. */
  onLost = (): void => {}
  private ending = false
  private received = 0
  /**
   * The answers that are due from the server, in order. True for a ReadyForQuery that the driver waits for.
   */
  private readonly due: boolean[] = []
  private why: LastWord | null = null
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
      // the start-up has no type and is answered too
      if (type === 0 || asked.has(type)) this.due.push(true)
      if (type === flush && before === describe) {
        message[0] = sync!
        this.due.push(false)
      }
      before = type
      return true
    })
    this.fromServer = messages(true, (type, message) => {
      if (type === errorResponse) this.why = lastWord(message.subarray(5)) ?? this.why
      return type !== readyForQuery || this.due.shift() !== false
    })
    socket.on('data', chunk => this.take(chunk))
    socket.on('drain', () => this.emit('drain'))
    // what was sent when the server closed is answered by a reset, which says less than its last word
    socket.on('error', error => this.break(this.why === null ? error : this.closed()))
    socket.on('close', () => this.break(this.closed()))
  }

  /** The error of a connection that the server has closed, with its last word if there was one. */
  private closed(otherwise = 'the server closed the connection'): Error {
    return closedBy(this.why?.reason ?? otherwise, this.why?.sqlstate)
  }

  /** Whether an answer of the server is due. */
  get waiting(): boolean {
    return this.due.length > 0
  }

  /** A counter that grows with every byte that is received or sent. */
  get moved(): number {
    return this.received + this.socket.bytesWritten - this.socket.writableLength
  }

  /** The driver reads this before it waits for the end. */
  get readyState(): string {
    return this.lost ? 'closed' : this.socket.readyState
  }

  write(chunk: Buffer, done?: () => void): boolean {
    if (this.lost) {
      queueMicrotask(() => this.fail(this.closed('the connection is gone')))
      return true
    }
    // send what was read, with its changes; a head in two pieces is sent with the second
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

  /** Ends a connection that can no longer be used. */
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

  /** Emits `close`, once the driver sends no more statements. */
  letGo(): void {
    this.emit('close', false)
  }

  /** Emits `error` if somebody listens: otherwise it would end the process. */
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

/** The reason for a server with another protocol. */
const notPostgres = { code: 'NOT_POSTGRES', reason: 'what answers there is not PostgreSQL' }

/** What an error says after which the server closes the connection; null for other errors. */
function lastWord(body: Buffer): LastWord | null {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map(field => [field[0], field.slice(1)]),
  )
  if (!/^(FATAL|PANIC)$/.test(fields.get('V') ?? '')) return null
  return { sqlstate: fields.get('C') ?? '', reason: fields.get('M') ?? '' }
}

/**
 * Connects to an address, with encryption as configured. Throws the system's error or TLS_FAILED. `signal`
 * ends the attempt.
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
    // the operating system also detects a peer that is gone
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

/** Waits for an event of a socket. Rejects with its error, or when it closes. */
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

/** Asks the server whether it supports TLS. */
async function acceptsTls(socket: Socket, address: Address): Promise<boolean> {
  const { tls } = address
  const question = Buffer.alloc(8)
  question.writeInt32BE(8, 0)
  question.writeInt32BE(80877103, 4)
  socket.write(question)
  const answer = await once(socket, 'data')
  // further bytes before the encryption would come from an attacker in between
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

/** Encrypts a connection. Like libpq, only `verify-ca` and `verify-full` verify the server. */
async function encrypt(socket: Socket, address: Address): Promise<Socket> {
  const { host, tls } = address
  const fail = (reason: string, cause: unknown) =>
    new Failure('TLS_FAILED', hostAndPort(address), { reason, mode: tls.mode }, cause)
  const file = (path: string | null, what: string) => {
    if (path === null) return undefined
    try {
      // reading a pipe would block
      if (!statSync(path).isFile()) throw new Error('it is not a file')
      return readFileSync(path)
    } catch (error) {
      throw fail(`${what} \`${path}\` cannot be read`, error)
    }
  }
  const secured = connectTls({
    socket,
    // the name for the certificate; without it an IP address would be compared with `localhost`
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
