<?php
/*
 * The PHP side of gearman-manager: what runs inside a PHP worker.
 *
 * The manager starts this file in one of three roles, named by the first
 * argument; the second is the unix socket on which the manager listens:
 *
 *   parent SOCKET ID      stays small and warm, and forks the workers
 *   worker SOCKET ID      is one worker, where PHP cannot fork
 *
 * A forked process, or one started as "worker", says its id on a connection of
 * its own and is told what to be: a worker, which connects to the job servers,
 * takes jobs and performs them with the functions of the worker files, or an
 * inspector, which only loads the files, says what is wrong with each, and goes.
 *
 * Manager and process speak lines of JSON; the messages are those of the worker
 * contract. Calls are not answered, as a worker in a job could not: what is in
 * the socket is read before each GRAB_JOB and before a job is performed.
 *
 * The protocol of the job servers is spoken here, without any extension, on
 * sockets that never block beyond stream_select. A connection on which anything
 * unexpected happens is closed and never used again.
 *
 * PHP 7.4 is the oldest version whose syntax is used.
 */

namespace GearmanManager\Bridge;

/** What a worker file asked for that does not exist, or failed when loaded. */
final class LoadError extends \Exception
{
    /** @var string the file in which it happened */
    public $in;
    /** @var int its line, 0 where there is none */
    public $at;

    public function __construct(string $message, string $in, int $at)
    {
        parent::__construct($message);
        $this->in = $in;
        $this->at = $at;
    }
}

/** Thrown into a job that is over its timeout. No Exception, so that few catch it. */
final class JobTimeout extends \Error
{
}

/**
 * The line channel to the manager.
 */
final class Control
{
    /** @var resource */
    public $stream;
    /** @var bool the manager has closed it, or is dead */
    public $closed = false;
    /** @var string what has been read of the next line */
    private $rest = '';

    /** How long a write may wait for a manager that does not read. */
    private const PATIENCE = 10;

    private function __construct($stream)
    {
        $this->stream = $stream;
    }

    /** Connects; null if nobody listens. */
    public static function connect(string $path): ?self
    {
        $stream = @\stream_socket_client('unix://' . $path, $errno, $error, self::PATIENCE);
        if ($stream === false) {
            \error_log("gearman-manager: connect to $path: $error");
            return null;
        }
        \stream_set_blocking($stream, false);
        \stream_set_read_buffer($stream, 0);
        return new self($stream);
    }

    /** Sends a message. A manager that does not read counts as one that is gone. */
    public function send(array $message): void
    {
        $flags = \JSON_INVALID_UTF8_SUBSTITUTE | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE | \JSON_PARTIAL_OUTPUT_ON_ERROR;
        $this->write(\json_encode($message, $flags) . "\n");
    }

    /** Sends an event of the contract. */
    public function event(string $name, array $fields = []): void
    {
        $this->send(['event' => [$name => $fields === [] ? new \stdClass() : $fields]]);
    }

    /** Sends lines that are encoded already. */
    public function write(string $text): void
    {
        while ($text !== '' && !$this->closed) {
            $n = @\fwrite($this->stream, $text);
            if ($n === \strlen($text)) {
                return;
            }
            if ($n === false || $n === 0) {
                $read = $except = null;
                $write = [$this->stream];
                $ready = @\stream_select($read, $write, $except, self::PATIENCE);
                if ($ready === 0 || $n === false && $ready !== false) {
                    $this->closed = true;
                }
                continue;
            }
            $text = \substr($text, $n);
        }
    }

    /** Tells, at the cost of one system call, whether there is something to read. */
    public function ready(): bool
    {
        return @\stream_socket_recvfrom($this->stream, 1, \STREAM_PEEK) !== false;
    }

    /** Reads without waiting; returns the messages that are there. */
    public function read(): array
    {
        $messages = [];
        for (;;) {
            $chunk = @\fread($this->stream, 65536);
            if ($chunk === false || $chunk === '') {
                if (\feof($this->stream)) {
                    $this->closed = true;
                }
                return $messages;
            }
            $lines = \explode("\n", $this->rest . $chunk);
            $this->rest = \array_pop($lines);
            foreach ($lines as $line) {
                $message = \json_decode($line, true);
                if (\is_array($message)) {
                    $messages[] = $message;
                }
            }
            if (\strlen($chunk) < 65536) {
                return $messages;
            }
        }
    }

    /** Waits for messages; none when the manager is gone. */
    public function wait(): array
    {
        while (!$this->closed) {
            $read = [$this->stream];
            $write = $except = null;
            if (@\stream_select($read, $write, $except, null)) {
                $messages = $this->read();
                if ($messages !== []) {
                    return $messages;
                }
            }
        }
        return [];
    }
}

/**
 * The job record of the slot: a fixed 192 bytes in a file that the manager reads
 * when it wants to know what the worker does. Its layout is that of the package
 * jobrecord. Each update is one write.
 */
final class Record
{
    private const SIZE = 192;
    /** Bytes of a unique that it has room for. */
    private const UNIQUE = 64;
    /** Files of more records are not read for each job: a look costs 15 to 25 ns a record, */
    private const SMALL = 64;
    /** and takes no more than about a twentieth of the time where it is due after so many nanoseconds a record. */
    private const PAUSE = 500;

    /** @var resource|null */
    private $file;
    private $offset;
    private $version = 0;
    private $failed = 0;
    private $begun = 0;
    private $done = 0;
    private $inUse = false;
    private $bytes = 0;
    private $spent = 0;
    private $start = 0;
    private $workload = 0;
    /** @var int size of the file, which never changes */
    private $size = 0;
    /** @var int when the other records were looked at last, kept in a large file only */
    private $looked = 0;
    /** @var string server, function, as written */
    private $numbers = "\0\0\0\0";
    private $crc = 0;
    /** @var \FFI\CData|null the file in memory */
    private $all;
    /** @var \FFI\CData|null the record in memory */
    private $memory;

    public function __construct(string $path, int $number)
    {
        $this->offset = $number * self::SIZE;
        $file = $path === '' ? false : @\fopen($path, 'r+b');
        if ($file === false) {
            return;
        }
        \stream_set_read_buffer($file, 0);
        \stream_set_write_buffer($file, 0);
        \fseek($file, $this->offset);
        $old = @\unpack('Vversion/x8/Vfailed/x16/Pbegun/Pdone/Pbytes/Pspent', (string) \fread($file, self::SIZE));
        if ($old === false) {
            return;
        }
        $this->file = $file;
        $this->size = (int) (\fstat($file)['size'] ?? 0);
        $this->map($path);
        $this->version = ($old['version'] + 1) & ~1;
        $this->failed = $old['failed'];
        $this->begun = $old['begun'];
        $this->done = $old['done'];
        $this->bytes = $old['bytes'];
        $this->spent = $old['spent'];
    }

    /**
     * Maps the file into memory where ext/ffi allows it: writing the record and reading
     * the others then costs no system call.
     */
    private function map(string $path): void
    {
        if (!\class_exists('FFI', false)) {
            return;
        }
        try {
            $c = \FFI::cdef('void *mmap(void *, size_t, int, int, int, long); int open(const char *, int, ...); int close(int);');
            $fd = $c->open($path, 02000002); // O_RDWR|O_CLOEXEC
            if ($fd < 0) {
                return;
            }
            $address = $c->mmap(null, $this->size, 3, 1, $fd, 0); // PROT_READ|PROT_WRITE, MAP_SHARED
            $c->close($fd);
            if ($c->cast('long', $address)->cdata !== -1) { // MAP_FAILED
                $this->all = $c->cast('char *', $address);
                $this->memory = $this->all + $this->offset;
            }
        } catch (\Throwable $e) {
            $this->all = $this->memory = null; // ffi.enable forbids it
        }
    }

    /** Its number in the file. */
    public function number(): int
    {
        return \intdiv($this->offset, self::SIZE);
    }

    /** Tells whether a job is noted that is not answered. */
    public function inUse(): bool
    {
        return $this->inUse;
    }

    /** Notes the job in hand, before it is performed. */
    public function begin(int $server, int $function, string $handle, string $unique, int $crc, int $size): void
    {
        $this->start = \hrtime(true);
        $this->workload = $size;
        if ($this->file === null) {
            return;
        }
        $this->begun++;
        $this->inUse = true;
        $this->numbers = \pack('vv', $server, $function);
        $this->crc = $crc;
        if (\strlen($unique) > self::UNIQUE) {
            $unique = \substr($unique, 0, self::UNIQUE);
        }
        $this->put("\1" . \chr(\strlen($handle)), \strlen($unique), $unique === '' ? $handle : \pack('a64', $handle) . $unique);
    }

    /** Notes that the answer is out. */
    public function end(bool $failed, int $result): void
    {
        if ($this->file === null) {
            return;
        }
        $this->spent += \hrtime(true) - $this->start;
        $this->bytes += $this->workload + $result;
        $this->done++;
        $this->inUse = false;
        if ($failed) {
            $this->failed++;
        }
        $this->put("\0\0", 0, '');
    }

    /** Counts a job that was answered without being performed. */
    public function skip(): void
    {
        $this->start = \hrtime(true);
        $this->workload = 0;
        if ($this->file !== null) {
            $this->begun++;
            $this->end(true, 0);
        }
    }

    /**
     * Tells whether to wait with a job, since it stands in another record, too. In a
     * large file that is looked at as often as is cheap: for each job after a pause,
     * not for each of many short ones.
     */
    public function standsElsewhere(int $server, string $handle, int $crc, int $size): bool
    {
        if ($this->size > self::SMALL * self::SIZE) {
            $now = \hrtime(true);
            if (($now - $this->looked) * self::SIZE < $this->size * self::PAUSE) {
                return false;
            }
            $this->looked = $now;
        }
        return $this->size > self::SIZE && $this->stillStands($server, $handle, $crc, $size);
    }

    /** Tells whether a job stands in another record. */
    public function stillStands(int $server, string $handle, int $crc, int $size): bool
    {
        if ($this->all !== null) {
            $records = \FFI::string($this->all, $this->size);
        } else {
            \fseek($this->file, 0);
            $records = (string) \fread($this->file, $this->size);
        }
        $hash = \pack('VV', $crc, $size);
        $length = \strlen($records);
        for ($at = 24; $at < $length; $at = $begin + self::SIZE + 24) { // the hash of the next record
            $at = \strpos($records, $hash, $at);
            if ($at === false) {
                return false;
            }
            $begin = $at - 24 - ($at - 24) % self::SIZE;
            if ($at === $begin + 24 && $begin !== $this->offset
                && \substr($records, $begin + 4, 4) === "\1" . \chr(\strlen($handle)) . \pack('v', $server)
                && \substr($records, $begin + 64, \strlen($handle)) === $handle) {
                return true;
            }
        }
        return false;
    }

    private function put(string $state, int $unique, string $names): void
    {
        $this->version += 2;
        $text = \pack(
            'Va2a4vVPVVPPPP',
            $this->version,
            $state,
            $this->numbers,
            $unique,
            $this->failed,
            $this->start,
            $this->crc,
            $this->workload,
            $this->begun,
            $this->done,
            $this->bytes,
            $this->spent
        ) . $names;
        if ($this->memory !== null) {
            \FFI::memcpy($this->memory, "\xff", 1); // odd: it changes
            \FFI::memcpy($this->memory + 1, \substr($text, 1), \strlen($text) - 1);
            \FFI::memcpy($this->memory, $text, 1);
            return;
        }
        \fseek($this->file, $this->offset);
        \fwrite($this->file, $text);
    }
}

/**
 * A connection to one job server, from the first attempt to the worker's end.
 */
final class Link
{
    public const DOWN = 0;        // waits for its next attempt
    public const CONNECTING = 1;
    public const REGISTERING = 2; // waits for the answer to its first packets
    public const AWAKE = 3;       // may ask for a job
    public const ASKED = 4;       // a GRAB_JOB is not answered
    public const ASLEEP = 5;      // the server will wake it
    public const HELD = 6;        // must not ask
    public const GONE = 7;        // is not used any more

    /** @var string host:port, as the manager wrote it */
    public $address;
    /** @var int number in job records */
    public $index;
    public $state = self::DOWN;
    /** @var resource|null */
    public $stream;
    /** @var int|null the stream's key among those that are waited for */
    public $key;
    /** @var string what has been read and not been taken */
    public $in = '';
    /** @var int size of the packet that $in begins with, 0 if that is not known */
    public $want = 0;
    /** @var int largest workload that is taken of it */
    public $cap = 0;
    /** @var array|null a packet that is too large: its head, and how much is to be skipped */
    public $large;
    /** @var string packets that are to be written */
    public $out = '';
    /** @var int when the next thing has to have happened, in nanoseconds */
    public $due = 0;
    /** @var int when the last GRAB_JOB was sent, in nanoseconds */
    public $asked = 0;
    /** @var bool it is asked after 250 ms without an answer, others may be asked */
    public $parked = false;
    /** @var bool the last call before it is left */
    public $last = false;
    /** @var bool the server has been told that we sleep, and not been asked since: a call for a job may be ours alone */
    public $slept = false;
    /** @var array|null the last job's handle, function, unique, checksum and size, until the server sends something after its answer */
    public $unheard;
    /** @var string what the server calls us */
    public $clientId = '';
    /** @var string[] functions that the server knows, the one that it serves last first */
    public $functions = [];
    /** @var bool it has been told what we perform, or that there is nothing just now, and counts us */
    public $registered = false;
    /** @var bool an echo is on its way behind that, at whose return the manager is told */
    public $confirms = false;
    /** @var bool they may be others than it should know */
    public $stale = false;
    /** @var int attempts that have failed, one after the other */
    public $failures = 0;
    /** @var string the error that was told last */
    public $told = '';
    /** @var bool a read waits for up to 100 ms */
    public $waits = false;
    /** @var resource|\Socket|null what is written to where reads wait */
    public $socket;
    /** @var string what a signal handler has to say while a packet is written: it follows that */
    public $later = '';
    /** @var bool the manager was told that it is ready */
    public $ready = false;

    public function __construct(string $address, int $index)
    {
        $this->address = $address;
        $this->index = $index;
    }

    /** Closes the connection for everybody: what a job has started may have inherited it. */
    public function shut(): void
    {
        if ($this->stream !== null) {
            @\stream_socket_shutdown($this->stream, \STREAM_SHUT_RDWR);
            @\fclose($this->stream);
        }
        $this->stream = $this->socket = null;
        $this->in = $this->out = $this->later = '';
        $this->want = 0;
        $this->large = null;
        $this->parked = $this->last = $this->slept = $this->ready = false;
        $this->registered = $this->confirms = false;
        $this->functions = [];
        $this->clientId = '';
        $this->unheard = null;
    }
}

/** Packet types of the protocol. */
final class Packet
{
    public const CAN_DO = 1;
    public const CANT_DO = 2;
    public const PRE_SLEEP = 4;
    public const NOOP = 6;
    public const GRAB_JOB = 9;
    public const NO_JOB = 10;
    public const JOB_ASSIGN = 11;
    public const WORK_STATUS = 12;
    public const WORK_COMPLETE = 13;
    public const WORK_FAIL = 14;
    public const ECHO_REQ = 16;
    public const ECHO_RES = 17;
    public const ERROR = 19;
    public const SET_CLIENT_ID = 22;
    public const WORK_EXCEPTION = 25;
    public const OPTION_RES = 27;
    public const WORK_DATA = 28;
    public const WORK_WARNING = 29;
    public const GRAB_JOB_UNIQ = 30;
    public const JOB_ASSIGN_UNIQ = 31;

    public static function request(int $type, string $body = ''): string
    {
        return "\0REQ" . \pack('NN', $type, \strlen($body)) . $body;
    }
}

/*
 * GearmanJob exists once: where pecl/gearman is loaded, ours extends its class, so
 * that type declarations in worker files hold.
 */
if (\class_exists('GearmanJob', false)) {
    abstract class JobBase extends \GearmanJob
    {
    }
} else {
    abstract class JobBase
    {
    }
}

/**
 * A job as worker code sees it, with the methods of pecl/gearman's GearmanJob.
 */
final class Job extends JobBase
{
    /** @var Worker|null null once the job is over */
    private $worker;
    private $link;
    private $handle;
    private $function;
    private $unique;
    private $workload;
    private $return = 0;
    /** @var bool it has been answered */
    private $finished = false;
    private $failed = false;
    /** @var int bytes of the result */
    private $size = 0;

    public function __construct(Worker $worker, Link $link, string $handle, string $function, string $unique, string $workload)
    {
        $this->worker = $worker;
        $this->link = $link;
        $this->handle = $handle;
        $this->function = $function;
        $this->unique = $unique;
        $this->workload = $workload;
    }

    public function __destruct()
    {
    }

    public function workload(): string
    {
        return $this->workload;
    }

    public function workloadSize(): int
    {
        return \strlen($this->workload);
    }

    public function handle(): string
    {
        return $this->handle;
    }

    public function unique(): string
    {
        return $this->unique;
    }

    public function functionName(): string
    {
        return $this->function;
    }

    public function returnCode(): int
    {
        return $this->return;
    }

    public function setReturn($code): bool
    {
        $this->return = (int) $code;
        return true;
    }

    public function sendData($data): bool
    {
        return $this->send(Packet::WORK_DATA, $this->handle . "\0" . $data);
    }

    public function sendWarning($warning): bool
    {
        return $this->send(Packet::WORK_WARNING, $this->handle . "\0" . $warning);
    }

    public function sendStatus($numerator, $denominator): bool
    {
        return $this->send(Packet::WORK_STATUS, $this->handle . "\0" . ((int) $numerator & 0xffffffff) . "\0" . ((int) $denominator & 0xffffffff));
    }

    public function sendComplete($result): bool
    {
        $this->size = \strlen((string) $result);
        return $this->finish(false, Packet::WORK_COMPLETE, $this->handle . "\0" . $result);
    }

    public function sendException($exception): bool
    {
        return $this->finish(true, Packet::WORK_EXCEPTION, $this->handle . "\0" . $exception);
    }

    public function sendFail(): bool
    {
        return $this->finish(true, Packet::WORK_FAIL, $this->handle);
    }

    /* The names of pecl/gearman before 0.5. */

    public function data($data): bool
    {
        return $this->sendData($data);
    }

    public function warning($warning): bool
    {
        return $this->sendWarning($warning);
    }

    public function status($numerator, $denominator): bool
    {
        return $this->sendStatus($numerator, $denominator);
    }

    public function complete($result): bool
    {
        return $this->sendComplete($result);
    }

    public function exception($exception): bool
    {
        return $this->sendException($exception);
    }

    public function fail(): bool
    {
        return $this->sendFail();
    }

    /** Tells whether it has been answered, and with a failure. For the worker. */
    public function answered(): array
    {
        return [$this->finished, $this->failed, $this->size];
    }

    /** Tells whether it was neither answered nor given a return code. */
    public function untouched(): bool
    {
        return !$this->finished && $this->return === 0;
    }

    /** The connection that it came by. */
    public function link(): Link
    {
        return $this->link;
    }

    /** Ends its life: worker code that kept it sends nothing any more. */
    public function over(): void
    {
        $this->worker = null;
        $this->finished = true;
    }

    private function send(int $type, string $body): bool
    {
        if ($this->finished) {
            return $this->worker !== null; // nothing reaches the client any more, and pecl/gearman says nothing of it
        }
        return $this->sent($this->worker->report($this->link, Packet::request($type, $body)));
    }

    /** What has been sent sets the return code back, as in pecl/gearman. */
    private function sent(bool $sent): bool
    {
        if ($sent) {
            $this->return = 0;
        }
        return $sent;
    }

    private function finish(bool $failed, int $type, string $body): bool
    {
        if ($this->finished) {
            return $this->worker !== null;
        }
        $this->failed = $failed;
        return $this->sent($this->worker->report($this->link, Packet::request($type, $body), $this->finished));
    }
}

/**
 * The connection that jobs in PEAR's style are given. Their base class sends
 * through it, by a static call in old versions of Net_Gearman and a method in
 * newer ones.
 */
final class PearConnection
{
    /** @var Job|null the job in hand */
    private static $job;

    public static function serve(?Job $job): void
    {
        self::$job = $job;
    }

    /** send($connection, $command, $fields) or send($command, $fields) */
    public static function send(...$arguments): void
    {
        if (\count($arguments) > 2 || !\is_string($arguments[0] ?? null)) {
            \array_shift($arguments);
        }
        [$command, $fields] = [(string) ($arguments[0] ?? ''), (array) ($arguments[1] ?? [])];
        if (self::$job === null) {
            return;
        }
        switch ($command) {
            case 'work_status':
                self::$job->sendStatus($fields['numerator'] ?? 0, $fields['denominator'] ?? 0);
                break;
            case 'work_complete':
                self::$job->sendComplete(self::text($fields['result'] ?? ''));
                break;
            case 'work_data':
                self::$job->sendData(self::text($fields['data'] ?? ''));
                break;
            case 'work_warning':
                self::$job->sendWarning(self::text($fields['warning'] ?? ''));
                break;
            case 'work_exception':
                self::$job->sendException(self::text($fields['exception'] ?? ''));
                break;
            case 'work_fail':
                self::$job->sendFail();
                break;
        }
    }

    private static function text($value): string
    {
        return \is_string($value) ? $value : (string) \json_encode($value);
    }
}

/** The base class of jobs in PEAR's style, where Net_Gearman itself is not installed. */
abstract class PearJob
{
    protected $handle = '';
    protected $conn;
    protected $initParams = [];

    public function __construct($conn, $handle, array $initParams = [])
    {
        $this->conn = $conn;
        $this->handle = $handle;
        $this->initParams = $initParams;
    }

    abstract public function run($arg);

    public function status($numerator, $denominator)
    {
        PearConnection::send('work_status', ['numerator' => $numerator, 'denominator' => $denominator]);
    }

    public function complete(array $result)
    {
        PearConnection::send('work_complete', ['result' => \json_encode($result)]);
    }

    public function fail()
    {
        PearConnection::send('work_fail');
    }
}

/** Where jobs in PEAR's style left lines for GearmanManager's log. */
final class GearmanPearManager
{
    public static $LOG = [];
}

/** What PEAR's jobs throw to fail. */
class PearException extends \Exception
{
}

/**
 * The worker files: how they are loaded, and how their functions are called.
 */
final class Library
{
    public const PEAR_PREFIX = 'Net_Gearman_Job_';

    /** @var bool[] directories in which an autoloader has been looked for */
    private $searched = [];
    /** @var bool[] files that were loaded, before a fork too: PHP itself looks whether they are there still */
    private static $loaded = [];
    /** @var object[] of classes, by function: one for the life of the worker */
    private $objects = [];

    /**
     * Loads the file of a function and returns what performs it: a callable of
     * (Job, array &$log).
     *
     * @throws LoadError
     */
    public function load(string $function, array $source): callable
    {
        $file = (string) ($source['file'] ?? '');
        $symbol = (string) ($source['symbol'] ?? '') ?: $function;
        $pear = !empty($source['pear']);
        try { // autoloaders and error handlers of worker code may throw anywhere
            $this->autoload(\dirname($file));
            if ($pear || $this->mentionsPear($file)) {
                $this->definePear();
            }
            if (!isset(self::$loaded[$file])) {
                self::include($file);
                self::$loaded[$file] = true;
            }
            return $this->find($function, $symbol, $pear, $file);
        } catch (LoadError $e) {
            throw $e;
        } catch (\Throwable $e) {
            throw new LoadError(describe($e), $e->getFile(), $e->getLine());
        }
    }

    /** Runs a file where it can change none of our variables. */
    private static function include(): void
    {
        require_once \func_get_arg(0);
    }

    /** Why a file that was loaded has nothing that performs its function. */
    private static function whyNot(string $function, string $symbol, string $file, string $want): string
    {
        if (!\preg_match('/^\\\\?[a-z_\x80-\xff][\w\x80-\xff]*(\\\\[a-z_\x80-\xff][\w\x80-\xff]*)*$/Di', $symbol)) {
            return "PHP allows no function or class to be called $symbol, want the file renamed, for example with _ for what is no letter or digit";
        }
        if (\class_exists($symbol, false)) {
            $class = new \ReflectionClass($symbol);
            if ($class->isAbstract()) {
                return "class $symbol is abstract, want $want";
            }
            return ($class->isInstantiable() ? "class $symbol has no public method run" : "the constructor of class $symbol is not public") . ", want $want";
        }
        if (\strpos((string) @\file_get_contents($file), '<?') === false) {
            return "the file has no <?php, so that it is text and no code, want $want";
        }
        return "the file does not define what performs $function, want $want";
    }

    private function find(string $function, string $symbol, bool $pear, string $file): callable
    {
        $class = $this->pearClass($function, $symbol);
        // A function of PHP itself that happens to be called like a class is not meant.
        $defined = \function_exists($symbol) && (new \ReflectionFunction($symbol))->isUserDefined();
        if ($class !== null && ($pear || !$defined)) {
            return $this->pearJob($class);
        }
        if (!$pear && $defined) {
            return $symbol;
        }
        if (!$pear && \class_exists($symbol) && self::performs($symbol)) {
            return function ($job, &$log) use ($symbol) {
                if (!isset($this->objects[$symbol])) {
                    $this->objects[$symbol] = new $symbol();
                }
                return $this->objects[$symbol]->run($job, $log);
            };
        }
        if ($pear) {
            $want = 'class ' . self::PEAR_PREFIX . "$function with a method run(\$arg)";
        } else {
            $want = "function $symbol(\$job, &\$log), or class $symbol with a public method run(\$job, &\$log)";
        }
        throw new LoadError(self::whyNot($function, $symbol, $file, $want), $file, 0);
    }

    /** The class in PEAR's style that performs a function, if there is one. */
    private function pearClass(string $function, string $symbol): ?string
    {
        $prefix = \defined('NET_GEARMAN_JOB_CLASS_PREFIX') ? (string) \constant('NET_GEARMAN_JOB_CLASS_PREFIX') : self::PEAR_PREFIX;
        foreach ([$prefix . $function, self::PEAR_PREFIX . $function, $symbol] as $class) {
            if (\class_exists($class, false) && self::performs($class)
                && ($class !== $symbol || \is_subclass_of($class, 'Net_Gearman_Job_Common'))) {
                return $class;
            }
        }
        return null;
    }

    /** Tells whether objects of a class can be made and run. */
    private static function performs(string $class): bool
    {
        return (new \ReflectionClass($class))->isInstantiable() && \method_exists($class, 'run')
            && (new \ReflectionMethod($class, 'run'))->isPublic();
    }

    private function pearJob(string $class): callable
    {
        return static function (Job $job, &$log) use ($class) {
            $workload = $job->workload();
            $argument = [];
            if ($workload !== '') {
                $argument = \json_decode($workload, true);
                if ($argument === null) {
                    $argument = $workload;
                }
            }
            PearConnection::serve($job);
            GearmanPearManager::$LOG = [];
            try {
                $performer = new $class(new \Net_Gearman_Connection(), $job->handle(), []);
                $result = $performer->run($argument);
                return \json_encode(\is_array($result) ? $result : ['result' => $result], \JSON_PARTIAL_OUTPUT_ON_ERROR);
            } catch (\Net_Gearman_Job_Exception $e) {
                $log[] = 'failed: ' . $e->getMessage();
                $job->sendFail();
                return null;
            } finally {
                $log = \array_merge((array) GearmanPearManager::$LOG, (array) $log);
                PearConnection::serve(null);
            }
        };
    }

    /**
     * Tells whether a file has to do with PEAR's jobs, as one may have that only opcache
     * holds. It is read in pieces, for each worker has the memory of the largest.
     */
    private function mentionsPear(string $file): bool
    {
        if (\class_exists('Net_Gearman_Job_Common', false)) {
            return true;
        }
        $stream = @\fopen($file, 'rb');
        if ($stream === false) {
            return true;
        }
        $before = '';
        while ((string) ($piece = \fread($stream, 8192)) !== '') {
            if (\strpos($before . $piece, self::PEAR_PREFIX) !== false) {
                return true;
            }
            $before = \substr($piece, -\strlen(self::PEAR_PREFIX));
        }
        return false;
    }

    /** Makes sure that the classes exist which jobs in PEAR's style extend and use. */
    private function definePear(): void
    {
        if (\class_exists('Net_Gearman_Connection', false)) {
            return;
        }
        \class_alias(PearConnection::class, 'Net_Gearman_Connection');
        \class_alias(GearmanPearManager::class, 'GearmanPearManager');
        foreach (['Net_Gearman_Job_Exception' => PearException::class, 'Net_Gearman_Job_Common' => PearJob::class] as $name => $ours) {
            if (\class_exists($name)) {
                continue; // an autoloader knows it
            }
            $file = @\stream_resolve_include_path(\str_replace('_', '/', $name) . '.php');
            if ($file !== false) {
                self::include($file);
            }
            if (!\class_exists($name, false)) {
                \class_alias($ours, $name);
            }
        }
    }

    /**
     * Loads the Composer autoloader of the project that a directory belongs to: the
     * nearest vendor/autoload.php in it or above. A directory in which anybody may
     * write is passed over.
     */
    private function autoload(string $dir): void
    {
        for (; !isset($this->searched[$dir]); $dir = \dirname($dir)) {
            $this->searched[$dir] = true;
            $file = \rtrim($dir, '/') . '/vendor/autoload.php';
            if (!@\is_file($file)) {
                if (self::held($file)) {
                    self::include($file);
                    return;
                }
                continue;
            }
            foreach ([$dir, \dirname($file), $file] as $path) {
                if ((\fileperms($path) & 0002) !== 0) {
                    continue 2;
                }
            }
            if (self::replaceable($file)) {
                continue;
            }
            self::include($file);
            return;
        }
    }

    /** Tells whether opcache has a file, which may have gone from the disk: that was loaded once. */
    private static function held(string $file): bool
    {
        return \function_exists('opcache_is_script_cached') && @\opcache_is_script_cached($file);
    }

    /** Tells whether anybody may put another file in the place of one, seen from where links to it lead. */
    private static function replaceable(string $file): bool
    {
        $path = (string) \realpath($file);
        do {
            $path = \dirname($path);
            if ((\fileperms($path) & 01002) === 0002) { // one with the sticky bit keeps what is in it
                return true;
            }
        } while (\dirname($path) !== $path);
        return false;
    }
}

/**
 * What a process does when it ends in the middle of something: exit() and fatal
 * errors cannot be caught, only followed by a shutdown function.
 */
final class LastWords
{
    private const FATAL = \E_ERROR | \E_PARSE | \E_CORE_ERROR | \E_COMPILE_ERROR | \E_USER_ERROR | \E_RECOVERABLE_ERROR;
    /** Memory for the shutdown function after the limit was hit. */
    private const RESERVE = 16384;

    /** @var callable|null called with (string $message, string $file, int $line, bool $fatal) */
    private static $then;
    private static $reserve;
    private static $pid;

    public static function arm(): void
    {
        self::$pid = \getmypid();
        self::$reserve = \str_repeat("\0", self::RESERVE);
        \register_shutdown_function([self::class, 'speak']);
    }

    /** Sets what is called if the process ends from here on; null: nothing. */
    public static function then(?callable $then): void
    {
        self::$then = $then;
    }

    public static function speak(): void
    {
        $then = self::$then;
        self::$then = null;
        if ($then === null || self::$pid !== \getmypid()) {
            return; // nothing to say, or a process that a job has forked
        }
        if (\function_exists('pcntl_async_signals')) {
            \pcntl_async_signals(false); // a handler that ends the process again would end this
        }
        self::$reserve = null;
        @\ini_set('memory_limit', '-1');
        $error = \error_get_last();
        if ($error !== null && ($error['type'] & self::FATAL) !== 0) {
            $then($error['message'], $error['file'], $error['line'], true);
        } else {
            $then('it called exit() or die()', '', 0, false);
        }
    }
}

/**
 * The worker: takes jobs from the job servers and performs them.
 */
final class Worker
{
    /** A turn at one server ends after so many jobs or so many nanoseconds. */
    private const TURN_JOBS = 8;
    private const TURN_TIME = 20000000;
    /** An unanswered GRAB_JOB lets the other servers have their turn after that. */
    private const PARK = 250000000;
    private const POLL = 60000000000;
    private const SILENCE = 30000000000;
    private const CONNECT = 10000000000;
    private const LEAVE = 5000000000;
    /** One that rests leaves so long after its last job, if nobody tells it to. */
    private const REST = 10000000000;
    /** Reasons to retire for which it may rest: there is time for a successor. */
    private const RESTFUL = ['max_runs' => true, 'max_lifetime' => true, 'max_memory' => true];
    /** For how long the manager may leave a job in the record of a worker that died with it. */
    private const VERDICT = 2000000000;
    /** A job shorter than that needs no further look at the control channel. */
    private const LOOK = 1000000;
    private const IDLE = 100000000;
    private const RETRY_MIN = 100000000;
    private const RETRY_MAX = 5000000000;
    /** A log line is cut at so many bytes, as GearmanManager cut it. */
    private const LOG_LINE = 256;
    private const ECHO = 'gearman-manager';
    private const MAX_DATA = 67108864;
    private const CHUNK = 1048576;
    /** Packets that a server may send, and their largest size. A job may have any: it is answered. */
    private const PACKETS = [
        Packet::NOOP => 0, Packet::NO_JOB => 0, Packet::JOB_ASSIGN => 0xffffffff, Packet::JOB_ASSIGN_UNIQ => 0xffffffff,
        Packet::ECHO_RES => 65536, Packet::ERROR => 65536, Packet::OPTION_RES => 65536,
    ];
    /** Largest head of a JOB_ASSIGN_UNIQ: handle, function, unique, and their NULs. */
    private const MAX_HEAD = 643;

    /** @var Control */
    private $control;
    /** @var Library */
    private $library;
    /** @var string path of the file of records */
    private $records;
    /** @var Record */
    private $record;
    /** @var int|null number of the record that the next job is noted in, if it is another */
    private $nextRecord;
    /** @var Link[] */
    private $links = [];
    /** @var resource[] streams that are waited for */
    private $readers;
    private $nextKey = 1;
    /** @var int connections that are being made */
    private $connecting = 0;
    /** @var Link[] by key of their streams */
    private $byKey = [];

    /** @var array[] by name: function of the contract, with 'call' */
    private $functions = [];
    /** @var array[] those that were performed once: a job of theirs may be on its way */
    private $former = [];
    /** @var bool[] paused functions */
    private $paused = [];
    private $limits = [];
    private $clientId = '';
    private $hold = 0;
    private $verbosity = 0;
    /** @var array[] suspects by key */
    private $suspects = [];

    private $begun = 0;
    private $done = 0;
    private $failed = 0;
    private $maxRuns = 0;
    private $maxData = self::MAX_DATA;
    private $maxMemory = 0;
    private $born;
    private $pid;
    private $dies = 0;

    private $leaving = false;
    /** @var bool the manager knows that it takes no more jobs than it has; that is final */
    private $retired = false;
    private $leaveBy = 0;
    /** @var bool whether it rests before it leaves */
    private $rests = false;
    private $resting = false;
    /** @var bool the manager was told that nothing is in hand any more */
    private $rested = false;
    private $restBy = 0;
    private $busy = false;
    private $lastJob = 0;
    /** @var Link|null which has the turn */
    private $turn;
    private $turnJobs = 0;
    private $turnBegan = 0;

    /** @var Link|null to which something is just being written */
    private $writing;
    /** @var string the packet that has been read */
    private $packet = '';
    /** @var Job|null in hand */
    private $job;
    /** @var int when it began, in nanoseconds, and for how long it may last without being slow; 0: for ever */
    private $began = 0;
    private $slow = 0;
    private $inUserCode = false;
    private $alarmed = 0;
    /** @var bool an alarm came while a packet was written */
    private $overdue = false;
    private $hasAlarm;

    public function __construct(Control $control, array $run)
    {
        $this->control = $control;
        $this->library = new Library();
        $this->born = \hrtime(true);
        $this->pid = \getmypid();
        $this->readers = [0 => $control->stream];
        $slot = $run['slots'][0] ?? [];
        $this->clientId = (string) ($slot['client_id'] ?? '');
        $this->records = (string) ($run['record_file'] ?? '');
        $this->record = new Record($this->records, (int) ($slot['record'] ?? 0));
        $this->hold = (int) ($run['hold'] ?? 0);
        $this->rests = !empty($run['rests']);
        $this->verbosity = (int) ($run['verbosity'] ?? 0);
        $this->paused = \array_fill_keys($run['paused'] ?? [], true);
        $this->setLimits($run['limits'] ?? []);
        $this->addSuspects($run['suspects'] ?? []);
        $this->hasAlarm = \function_exists('pcntl_alarm') && \function_exists('pcntl_async_signals');
        if ($this->hasAlarm) {
            \pcntl_async_signals(true);
            \pcntl_signal(\SIGALRM, [$this, 'alarm'], false);
        }
    }

    /** Loads, works, leaves. */
    public function run(array $run): void
    {
        \putenv('GEARMAN_WORKER=' . ($run['worker'] ?? ''));
        LastWords::then(function (string $message, string $file, int $line, bool $fatal) {
            $where = $file === '' ? '' : " in $file:$line";
            $this->control->send(['refused' => ($fatal ? $message : 'a worker file ended the process: ' . $message) . $where]);
        });
        try {
            $this->addFunctions($run['functions'] ?? []);
        } catch (LoadError $e) {
            LastWords::then(null);
            $where = $e->at > 0 ? " in {$e->in}:{$e->at}" : " in {$e->in}";
            $this->control->send(['refused' => $e->getMessage() . $where]);
            return;
        }
        LastWords::then([$this, 'endedInJob']);
        \set_error_handler([self::class, 'ignore']);
        $this->control->event('hello', ['pid' => \getmypid(), 'description' => [
            'contract' => (int) ($run['contract'] ?? 0), 'version' => 'PHP ' . \PHP_VERSION, 'functions' => \array_map('strval', \array_keys($this->functions)),
        ]]);
        $this->setServers($run['servers'] ?? []);
        while (!$this->hasLeft()) {
            $this->advance();
            $this->wait();
        }
        LastWords::then(null);
        $this->left();
        while (!$this->control->closed) {
            $this->control->wait();
        }
    }

    /** The handler of errors in our own code, where worker code may have set one that throws. */
    public static function ignore(int $level, string $message, string $file, int $line): bool
    {
        if ((\error_reporting() & $level) !== 0) {
            \error_log("gearman-manager: $message in $file:$line");
        }
        return true;
    }

    /* What the manager says. */

    private function listen(): void
    {
        foreach ($this->control->read() as $message) {
            foreach ($message as $name => $body) {
                $this->obey((string) $name, $body);
            }
        }
        if ($this->control->closed) {
            unset($this->readers[0]); // its end would be there to be read for ever
            $this->leave();
        }
    }

    private function obey(string $name, $body): void
    {
        $body = \is_array($body) ? $body : [$body];
        switch ($name) {
            case 'drain':
                $this->retired = true;
                $this->leave();
                break;
            case 'suspect':
                $this->addSuspects($body['add'] ?? []);
                foreach ($body['remove'] ?? [] as $id) {
                    unset($this->suspects[self::suspectKey($id)]);
                }
                break;
            case 'pause':
                $this->paused += \array_fill_keys($body['names'] ?? [], true);
                $this->offer();
                break;
            case 'resume':
                $this->paused = \array_diff_key($this->paused, \array_fill_keys($body['names'] ?? [], true));
                $this->offer();
                break;
            case 'go':
                $hold = (int) ($body['hold'] ?? 0);
                $this->hold = $this->resting ? \max(1, $hold) : $hold;
                $this->offer();
                break;
            case 'set':
                $this->set($body);
                break;
            case 'ping':
                $this->control->send(['pong' => $body[0] ?? 0]);
                break;
        }
    }

    private function set(array $settings): void
    {
        if (isset($settings['verbosity'])) {
            $this->verbosity = (int) $settings['verbosity'];
        }
        if (isset($settings['limits'])) {
            $this->setLimits($settings['limits']);
            $this->retireIfOver(); // it may be beyond one of them already
        }
        if (isset($settings['slots']['slots'][0])) {
            $this->setSlot($settings['slots']['slots'][0]);
        }
        if (isset($settings['functions'])) {
            $this->setFunctions($settings['functions']['functions'] ?? []);
        }
        if (isset($settings['servers'])) {
            $this->setServers($settings['servers']['servers'] ?? []);
        }
    }

    private function setSlot(array $slot): void
    {
        if (isset($slot['client_id'])) {
            $this->clientId = (string) $slot['client_id'];
            $this->offer();
        }
        $this->nextRecord = (int) ($slot['record'] ?? 0);
        $this->changeRecord();
    }

    /** Notes jobs elsewhere, where that was said, once none stands in the record. */
    private function changeRecord(): void
    {
        if ($this->nextRecord === null || $this->record->inUse()) {
            return;
        }
        if ($this->nextRecord !== $this->record->number()) {
            $this->record = new Record($this->records, $this->nextRecord);
        }
        $this->nextRecord = null;
    }

    private function setFunctions(array $functions): void
    {
        $old = $this->former = $this->functions + $this->former;
        $this->functions = [];
        foreach ($functions as $f) {
            $name = (string) ($f['name'] ?? '');
            if (isset($old[$name]) && ($old[$name]['source'] ?? []) == ($f['source'] ?? [])) {
                $this->functions[$name] = ['call' => $old[$name]['call']] + $f;
                continue;
            }
            \restore_error_handler(); // that of worker code holds for what is loaded
            try {
                $this->addFunction($f);
            } catch (LoadError $e) {
                $this->log(8, "function $name is not performed: " . $e->getMessage() . " in {$e->in}:{$e->at}");
            }
            \set_error_handler([self::class, 'ignore']);
        }
        $this->offer();
    }

    /**
     * Loads the files in the order of the plan, in which they were inspected, and
     * keeps the functions in the order in which they are offered.
     *
     * @throws LoadError
     */
    private function addFunctions(array $functions): void
    {
        $inPlan = $functions;
        \usort($inPlan, static function (array $a, array $b) {
            return ($a['index'] ?? 0) <=> ($b['index'] ?? 0);
        });
        foreach ($inPlan as $f) {
            $this->addFunction($f);
        }
        $offered = \array_column($functions, null, 'name');
        $this->functions = \array_replace(\array_intersect_key($offered, $this->functions), $this->functions);
    }

    /** @throws LoadError */
    private function addFunction(array $f): void
    {
        $name = (string) ($f['name'] ?? '');
        $f['call'] = $this->library->load($name, $f['source'] ?? []);
        $this->functions[$name] = $f;
    }

    private function setLimits(array $limits): void
    {
        $this->limits = $limits;
        $this->maxRuns = (int) ($limits['max_runs'] ?? 0);
        $this->maxMemory = (int) ($limits['max_memory'] ?? 0);
        $this->maxData = (int) ($limits['max_data'] ?? 0) ?: self::MAX_DATA;
        $life = (int) ($limits['max_lifetime_ms'] ?? 0);
        $this->dies = $life > 0 ? $this->born + $life * 1000000 : 0;
    }

    private function setServers(array $servers): void
    {
        if ($this->leaving) {
            return;
        }
        $wanted = [];
        foreach ($servers as $s) {
            $wanted[(string) ($s['address'] ?? '')] = (int) ($s['index'] ?? 0);
        }
        foreach ($this->links as $address => $link) {
            if (!isset($wanted[$address])) {
                $this->part($link);
            }
        }
        foreach ($wanted as $address => $index) {
            $link = $this->links[$address] ?? null;
            if ($link === null) {
                $this->links[$address] = new Link((string) $address, $index);
                continue;
            }
            $link->index = $index;
            if ($link->last) { // it is wanted again
                $link->last = false;
                $link->due = \hrtime(true) + self::SILENCE;
                if ($link->state === Link::ASKED) {
                    $this->tellReady($link); // as of one that has been connected anew
                }
            }
        }
    }

    private function addSuspects(array $suspects): void
    {
        foreach ($suspects as $s) {
            $this->suspects[self::suspectKey($s['job'] ?? [])] = $s;
        }
    }

    private static function suspectKey(array $id): string
    {
        return ($id['server'] ?? '') . "\0" . ($id['handle'] ?? '') . "\0" . ($id['hash'] ?? '0');
    }

    /* Leaving. */

    private function retire(string $reason, string $detail = ''): void
    {
        if (!$this->retired) {
            $this->retired = true;
            $this->control->event('retiring', ['reason' => $reason, 'detail' => $detail]);
        }
        if ($this->rests && isset(self::RESTFUL[$reason])) {
            $this->rest();
        } else {
            $this->leave();
        }
    }

    /**
     * Stays registered, so that the servers count it until its successor is there, but
     * asks for no job and does not sleep. A server that may have woken us is asked a
     * last time.
     */
    private function rest(): void
    {
        if ($this->resting || $this->leaving) {
            return;
        }
        $this->resting = true;
        $this->hold = \max(1, $this->hold);
        $this->restBy = \hrtime(true) + self::REST;
        foreach ($this->links as $link) {
            if ($link->slept) {
                $this->ask($link);
            } elseif ($link->state === Link::AWAKE) {
                $link->state = Link::HELD;
            }
        }
    }

    /** Tells, once, when no server owes an answer any more. */
    private function tellRested(): void
    {
        foreach ($this->links as $link) {
            if ($link->state === Link::ASKED) {
                return;
            }
        }
        $this->rested = true;
        $this->control->event('rested');
    }

    private function leave(): void
    {
        if (!$this->leaving) {
            $this->leaving = true;
            $this->leaveBy = \hrtime(true) + self::LEAVE;
            foreach ($this->links as $link) {
                $this->part($link);
            }
        }
    }

    /** Begins to leave a server: one that may have woken us is asked a last time. */
    private function part(Link $link): void
    {
        if ($link->slept) {
            $link->last = true;
            $this->ask($link);
            return;
        }
        if ($link->state === Link::ASKED) {
            if (!$link->last) {
                $link->last = true;
                $link->due = \hrtime(true) + self::LEAVE;
            }
            return;
        }
        $this->drop($link);
    }

    /** Ends a connection as planned. */
    private function drop(Link $link): void
    {
        if ($link->stream !== null && $link->out !== '') {
            $this->flush($link, self::LEAVE);
        }
        $this->forget($link);
        $link->state = Link::GONE;
        unset($this->links[$link->address]);
    }

    private function hasLeft(): bool
    {
        return $this->leaving && $this->links === [];
    }

    private function left(): void
    {
        $this->control->event('left', ['counters' => ['done' => $this->done, 'failed' => $this->failed]]);
    }

    /* What is done next. */

    private function advance(): void
    {
        $now = \hrtime(true);
        if ($this->dies !== 0 && $now >= $this->dies && !$this->retired) {
            $this->retire('max_lifetime', \round(($now - $this->born) / 1e9) . ' s');
        }
        if ($this->resting && !$this->rested && !$this->leaving) {
            $this->tellRested();
        }
        if ($this->questionOpen()) {
            return; // its answer comes first
        }
        foreach ($this->links as $link) {
            if ($link->state === Link::DOWN && $now >= $link->due) {
                $this->connect($link, $now);
            }
        }
        if (!$this->leaving && $this->hold === 0) {
            $this->takeTurn($now);
        }
    }

    private function questionOpen(): bool
    {
        return $this->turn !== null && $this->turn->state === Link::ASKED && !$this->turn->parked;
    }

    /** Asks the next server that is awake. */
    private function takeTurn(int $now): void
    {
        if (\count($this->links) > 1) {
            foreach ($this->links as $link) {
                if ($link->state === Link::ASKED && !$link->parked) {
                    return; // one question at a time
                }
            }
        }
        $turn = $this->turn;
        if ($turn !== null && $turn->state === Link::AWAKE && !$this->turnOver($now)) {
            $this->ask($turn);
            return;
        }
        $links = \array_values($this->links);
        $at = $turn === null ? -1 : \array_search($turn, $links, true);
        $n = \count($links);
        for ($i = 1; $i <= $n; $i++) {
            $link = $links[($at + $i) % $n];
            if ($link->state === Link::AWAKE) {
                $this->turn = $link;
                $this->turnJobs = 0;
                $this->turnBegan = $now;
                $this->ask($link);
                return;
            }
        }
    }

    private function turnOver(int $now): bool
    {
        if (\count($this->links) < 2) {
            return false;
        }
        return $this->turnJobs >= self::TURN_JOBS || $now - $this->turnBegan >= self::TURN_TIME;
    }

    private function wake(Link $link): void
    {
        $link->state = Link::AWAKE;
        $link->due = 0;
    }

    /** Sends GRAB_JOB behind what is to be written anyway. */
    private function ask(Link $link): void
    {
        $link->slept = false;
        $link->out .= "\0REQ\0\0\0\x1e\0\0\0\0";
        $link->state = Link::ASKED;
        $link->parked = false;
        $link->asked = \hrtime(true);
        $link->due = $link->asked + ($link->last ? self::LEAVE : self::SILENCE);
        $this->flush($link, self::SILENCE);
    }

    /* Waiting. */

    private function wait(): void
    {
        $turn = $this->turn;
        if ($turn !== null && $turn->waits && $turn->state === Link::ASKED && $this->busy && !$this->leaving
            && \count($this->links) === 1 && $this->receive($turn)) {
            if ($this->turn === null || $this->turn->state !== Link::ASKED) {
                $this->clocks();
            }
            return;
        }
        $read = $this->readers;
        $write = $except = null;
        if ($this->busy && !$this->leaving) {
            [$seconds, $micros] = [0, 100000];
        } else {
            [$seconds, $micros] = $this->patience();
        }
        if ($this->connecting > 0) {
            foreach ($this->links as $link) {
                if ($link->state === Link::CONNECTING) {
                    $write[] = $link->stream;
                }
            }
        }
        $ready = @\stream_select($read, $write, $except, $seconds, $micros);
        if ($ready) {
            if (isset($read[0])) {
                $this->listen();
                unset($read[0]);
            }
            foreach ($write ?? [] as $stream) {
                $this->connected($stream);
            }
            foreach ($read as $key => $_) {
                $link = $this->byKey[$key] ?? null;
                if ($link !== null && $link->state !== Link::CONNECTING) {
                    $this->receive($link);
                }
            }
            if (!$this->leaving && $this->turn !== null && $this->turn->state === Link::ASKED) {
                return; // performing; the clocks are looked at when there is time
            }
        }
        $this->clocks();
    }

    /** For how long there is nothing to do unless something comes. */
    private function patience(): array
    {
        $now = \hrtime(true);
        $next = $this->leaving ? $this->leaveBy : ($this->resting ? $this->restBy : $now + self::POLL);
        if ($this->dies !== 0 && !$this->retired) {
            $next = \min($next, $this->dies);
        }
        $open = $this->questionOpen();
        foreach ($this->links as $link) {
            if ($link->due !== 0 && ($link->state !== Link::DOWN || !$open)) { // nobody connects before the answer
                $parks = $link->state === Link::ASKED && !$link->parked && \count($this->links) > 1;
                $next = \min($next, $parks ? $link->asked + self::PARK : $link->due);
            }
        }
        $wait = \max(0, $next - $now) + 999;
        return [\intdiv($wait, 1000000000), \intdiv($wait % 1000000000, 1000)];
    }

    /** Does what time alone makes due. */
    private function clocks(): void
    {
        $now = \hrtime(true);
        if ($this->busy && $now - $this->lastJob >= self::IDLE) {
            $this->busy = false;
            $this->control->write("{\"event\":{\"idle\":{}}}\n");
        }
        foreach ($this->links as $link) {
            $late = $now >= $link->due;
            switch ($link->state) {
                case Link::ASLEEP:
                    if ($late) {
                        $this->wake($link); // a call that was lost must not stall the queue
                    }
                    break;
                case Link::CONNECTING:
                    if ($late) {
                        $this->lose($link, 'connect: no answer');
                    }
                    break;
                case Link::HELD:
                    if ($link->due === 0) {
                        break; // it waits for nothing
                    }
                    // no break
                case Link::REGISTERING:
                case Link::ASKED:
                    if ($late && $link->last) {
                        $this->drop($link);
                    } elseif ($late) {
                        $patience = $link->state === Link::ASKED ? self::SILENCE : self::CONNECT;
                        $this->lose($link, 'no answer for ' . \intdiv($patience, 1000000000) . ' s');
                    } elseif ($link->state === Link::ASKED && !$link->parked && $now - $link->asked >= self::PARK) {
                        $link->parked = \count($this->links) > 1;
                    }
                    break;
            }
        }
        if ($this->resting && !$this->leaving && $now >= $this->restBy) {
            $this->leave();
        }
        if ($this->leaving && $now >= $this->leaveBy) {
            foreach ($this->links as $link) {
                $this->drop($link);
            }
        }
    }

    /* Connections. */

    private function connect(Link $link, int $now): void
    {
        $context = \stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $flags = \STREAM_CLIENT_CONNECT | \STREAM_CLIENT_ASYNC_CONNECT;
        $stream = @\stream_socket_client('tcp://' . self::target($link), $errno, $error, 5, $flags, $context);
        if ($stream === false) {
            $this->lose($link, "connect: $error");
            return;
        }
        \stream_set_blocking($stream, false);
        \stream_set_read_buffer($stream, 0);
        $link->stream = $stream;
        $link->state = Link::CONNECTING;
        $this->connecting++;
        $link->due = $now + self::CONNECT;
    }

    /**
     * Where the next attempt goes. Of a name that has several addresses PHP tries the
     * first one alone if it is not to wait, and that of localhost may be ::1, where a
     * job server need not listen: every second attempt is at one of its IPv4 addresses.
     */
    private static function target(Link $link): string
    {
        $colon = (int) \strrpos($link->address, ':');
        $host = \substr($link->address, 0, $colon);
        if ($link->failures % 2 === 0 || \preg_match('/^[\d.]+$|:/', $host)) {
            return $link->address;
        }
        $addresses = \gethostbynamel($host) ?: [$host];
        return $addresses[\intdiv($link->failures, 2) % \count($addresses)] . \substr($link->address, $colon);
    }

    /** Is called when a connection is made, or could not be. */
    private function connected($stream): void
    {
        foreach ($this->links as $link) {
            if ($link->stream !== $stream) {
                continue;
            }
            if (\stream_socket_get_name($stream, true) === false) {
                $error = \function_exists('socket_import_stream') ? self::socketError($stream) : 'refused or unreachable';
                $this->lose($link, "connect: $error");
                return;
            }
            $this->connecting--;
            $this->keepAlive($stream);
            $link->socket = self::mayWait($stream);
            $link->waits = $link->socket !== null;
            $link->state = Link::REGISTERING;
            $link->key = $this->nextKey++;
            $this->readers[$link->key] = $stream;
            $this->byKey[$link->key] = $link;
            $this->register($link);
            return;
        }
    }

    private static function socketError($stream): string
    {
        $socket = @\socket_import_stream($stream);
        $code = $socket ? @\socket_get_option($socket, \SOL_SOCKET, \SO_ERROR) : 0;
        return $code ? \strtolower(\socket_strerror($code)) : 'refused or unreachable';
    }

    /**
     * Has a read wait for at most IDLE, so that the answer to a question needs no
     * stream_select. Returns what is to be written to then, for fwrite would wait itself,
     * through every signal; null where that cannot be set.
     *
     * @return resource|\Socket|null
     */
    private static function mayWait($stream)
    {
        $socket = \function_exists('socket_import_stream') ? @\socket_import_stream($stream) : false;
        if (!$socket || !@\socket_set_option($socket, \SOL_SOCKET, \SO_RCVTIMEO, ['sec' => 0, 'usec' => \intdiv(self::IDLE, 1000)])) {
            return null;
        }
        return \stream_set_blocking($stream, true) ? $socket : null;
    }

    /** Has the system find a server that is gone without a word. */
    private function keepAlive($stream): void
    {
        if (!\function_exists('socket_import_stream')) {
            return;
        }
        $socket = @\socket_import_stream($stream);
        if (!$socket) {
            return;
        }
        @\socket_set_option($socket, \SOL_SOCKET, \SO_KEEPALIVE, 1);
        // Numbers of linux/tcp.h, for PHP has names for them since 8.x only: idle
        // 10 s, then every 5 s, three times; unanswered data 30 s.
        foreach ([4 => 10, 5 => 5, 6 => 3, 18 => 30000] as $option => $value) {
            @\socket_set_option($socket, \SOL_TCP, $option, $value);
        }
    }

    /** Says who we are and what we perform, and asks for an echo, so that it is known when the server has heard it. */
    private function register(Link $link): void
    {
        $this->sayClientId($link);
        if ($this->hold < 2) {
            $link->registered = true;
            // The function that is offered last is served first.
            foreach (\array_reverse($this->offered()) as $name) {
                $link->out .= Packet::request(Packet::CAN_DO, $name);
                $link->functions[] = $name;
            }
        }
        $link->out .= Packet::request(Packet::ECHO_REQ, self::ECHO);
        $link->state = Link::REGISTERING;
        $link->due = \hrtime(true) + self::CONNECT;
        $this->flush($link, self::SILENCE);
    }

    private function sayClientId(Link $link): void
    {
        if ($link->clientId !== $this->clientId) {
            $link->out .= Packet::request(Packet::SET_CLIENT_ID, $this->clientId);
            $link->clientId = $this->clientId;
        }
    }

    /** @return string[] in order of priority, the highest first */
    private function offered(): array
    {
        $names = [];
        foreach ($this->functions as $name => $_) {
            if (!isset($this->paused[$name])) {
                $names[] = (string) $name;
            }
        }
        return $names;
    }

    /** Brings what the servers know up to date, where that can be done now. */
    private function offer(): void
    {
        foreach ($this->links as $link) {
            $link->stale = true;
            $this->update($link);
        }
    }

    /**
     * Tells a server what has changed. Not while a question is open: a job of a
     * function that is taken away might be on its way, and would be lost.
     */
    private function update(Link $link): void
    {
        if ($this->hold === 0 && $link->state === Link::HELD) {
            $this->wake($link);
        }
        if ($link->state === Link::ASLEEP) {
            $this->wake($link); // to ask first: the server may have woken nobody else for a job of what is taken away
        }
        if ($link->state !== Link::AWAKE && $link->state !== Link::HELD || $link->slept) {
            return;
        }
        $link->stale = false;
        $wanted = $this->hold < 2 ? \array_reverse($this->offered()) : [];
        $first = $this->hold < 2 && !$link->registered;
        if ($wanted === $link->functions && !$first && $link->clientId === $this->clientId) {
            return;
        }
        $this->sayClientId($link);
        $this->sayFunctions($link, $wanted);
        if ($first) {
            $link->out .= Packet::request(Packet::ECHO_REQ, self::ECHO);
            $link->registered = $link->confirms = true;
            $link->due = $link->state === Link::HELD ? \hrtime(true) + self::CONNECT : 0;
        }
        $this->flush($link, self::SILENCE);
    }

    /**
     * Has the server know those functions in that order: it puts each before the others.
     * One that comes to stand before others that it knows is taken back and offered anew,
     * with nothing between the two packets; all others are left alone.
     */
    private function sayFunctions(Link $link, array $wanted): void
    {
        $known = \array_fill_keys($link->functions, true);
        foreach (\array_diff($link->functions, $wanted) as $name) {
            $link->out .= Packet::request(Packet::CANT_DO, $name);
        }
        $keeps = 0;
        foreach ($link->functions as $name) {
            $keeps += ($wanted[$keeps] ?? null) === $name ? 1 : 0;
        }
        foreach (\array_slice($wanted, $keeps) as $name) {
            if (isset($known[$name])) {
                $link->out .= Packet::request(Packet::CANT_DO, $name);
            }
            $link->out .= Packet::request(Packet::CAN_DO, $name);
        }
        $link->functions = $wanted;
    }

    /** Ends a connection that broke, and plans the next attempt. */
    private function lose(Link $link, string $error): void
    {
        $last = $link->last;
        $unheard = $link->unheard;
        $this->forget($link);
        if ($unheard !== null) {
            $this->undelivered($link, ...$unheard);
        }
        if ($last || $this->leaving) {
            $link->state = Link::GONE;
            unset($this->links[$link->address]);
            return;
        }
        $cap = \min(self::RETRY_MAX, self::RETRY_MIN << \min($link->failures, 10));
        $link->failures++;
        $link->state = Link::DOWN;
        $link->due = \hrtime(true) + \random_int(\intdiv(self::RETRY_MIN, 10), $cap);
        if ($link->told !== $error) {
            $link->told = $error;
            $this->control->event('lost', ['server' => $link->address, 'error' => $error]);
        }
    }

    private function forget(Link $link): void
    {
        if ($link->state === Link::CONNECTING && $link->stream !== null) {
            $this->connecting--;
        }
        if ($link->key !== null) {
            unset($this->readers[$link->key], $this->byKey[$link->key]);
            $link->key = null;
        }
        $link->shut();
        if ($this->turn === $link) {
            $this->turn = null;
        }
    }

    /* Packets. */

    /**
     * Writes what a link has to say; false if the connection broke. Signal handlers of worker
     * code run meanwhile. After one that throws nobody knows how much has been written, and
     * nothing can follow.
     */
    private function flush(Link $link, int $patience): bool
    {
        $this->writing = $link;
        try {
            do {
                $sent = $this->write($link, \intdiv($patience, 1000000000));
                $link->out = $link->later;
                $link->later = '';
            } while ($sent && $link->out !== '');
        } catch (\Throwable $e) {
            $this->forget($link);
            throw $e;
        }
        $this->writing = null;
        if (!$sent) {
            $this->broken($link, 'write: the connection is closed');
        }
        return $sent;
    }

    /** Writes $link->out to the end; false if that cannot be. Waits for no longer than so many seconds at a time. */
    private function write(Link $link, int $patience): bool
    {
        $length = \strlen($link->out);
        $socket = $link->socket;
        for ($at = 0; $at < $length; $at += (int) $n) {
            // Large answers go out in parts, so that none is copied again and again.
            $part = $at === 0 && $length <= self::CHUNK ? $link->out : \substr($link->out, $at, self::CHUNK);
            $n = $socket === null ? @\fwrite($link->stream, $part) : @\socket_send($socket, $part, \strlen($part), \MSG_DONTWAIT);
            if ($n === $length) {
                return true;
            }
            if ($n === false && $socket !== null && \socket_last_error($socket) === \SOCKET_EAGAIN) {
                $n = 0;
            }
            if ($n === false || $n === 0) {
                $read = $except = null;
                $write = [$link->stream];
                $ready = @\stream_select($read, $write, $except, $patience);
                if ($ready === 0 || $n === false && $ready !== false || \feof($link->stream)) {
                    return false;
                }
            }
        }
        return true;
    }

    /** A connection broke while it was written to. One on which a job is performed is dealt with when that is over. */
    private function broken(Link $link, string $error): void
    {
        $link->out = '';
        if ($this->job === null) {
            $this->lose($link, $error);
            return;
        }
        $this->forget($link);
    }

    /**
     * Sends what a job has to say meanwhile. A timeout waits until the packet is out, for
     * nothing could be sent behind half of one, and so does what a signal handler has to say.
     *
     * @param bool|null $answered becomes true with the packet
     */
    public function report(Link $link, string $packet, ?bool &$answered = null): bool
    {
        $interrupts = $this->inUserCode;
        $this->inUserCode = false;
        $answered = true;
        $sent = false;
        try {
            if ($link->stream !== null && $this->writing === $link) {
                $link->later .= $packet;
                $sent = true;
            } elseif ($link->stream !== null) {
                $link->out .= $packet;
                $sent = $this->flush($link, self::SILENCE);
            }
        } finally { // a signal handler may throw
            $this->inUserCode = $interrupts;
        }
        if ($this->overdue && $interrupts) {
            $this->alarm();
        }
        return $sent;
    }

    /** Reads what a server has sent, and acts on it; false if there was nothing. */
    private function receive(Link $link): bool
    {
        $missing = $link->want - \strlen($link->in);
        $size = $missing > 8192 ? \min($missing, 1048576) : 8192;
        // One recv(2), where fread would poll first.
        $chunk = $link->waits ? @\stream_socket_recvfrom($link->stream, $size) : @\fread($link->stream, $size);
        if ($chunk === false || $chunk === '') {
            if (\feof($link->stream)) {
                $this->lose($link, 'the server closed the connection');
            }
            return false;
        }
        if ($link->waits && !$this->control->closed && $this->control->ready()) {
            $this->listen();
            if ($link->stream === null) {
                return true;
            }
        }
        if ($link->want === 0 && $link->in === '' && \strlen($chunk) > 12 && \strncmp($chunk, "\0RES\0\0\0\x1f", 8) === 0
            && \strlen($chunk) === 12 + \unpack('N', $chunk, 8)[1] && \strlen($chunk) < $link->cap) {
            $this->packet = $chunk; // one job and nothing else, as nearly always
            unset($chunk);
            $link->unheard = null;
            $this->assigned($link, Packet::JOB_ASSIGN_UNIQ);
            return true;
        }
        $link->in .= $chunk;
        unset($chunk);
        if ($link->want === 0 && \strncmp($link->in, "\0RES", \min(4, \strlen($link->in))) !== 0) {
            $this->noPacket($link);
            return true;
        }
        while ($link->stream !== null && ($link->large !== null || \strlen($link->in) >= 12)) {
            if ($link->large !== null) {
                if (!$this->skip($link)) {
                    return true;
                }
                continue;
            }
            if ($link->want === 0 && !$this->header($link)) {
                return true;
            }
            $length = \strlen($link->in);
            if ($link->want > $link->cap + self::MAX_HEAD + 12) {
                if ($length < 12 + self::MAX_HEAD && $length < $link->want) {
                    return true;
                }
                $this->tooLarge($link);
                continue;
            }
            if ($length < $link->want) {
                return true;
            }
            if ($length === $link->want) {
                $this->packet = $link->in;
                $link->in = '';
            } else {
                $this->packet = \substr($link->in, 0, $link->want);
                $link->in = \substr($link->in, $link->want);
            }
            $link->want = 0;
            $this->handle($link);
        }
        return true;
    }

    /** Reads the size of the packet that comes; false if it is none that can be waited for. */
    private function header(Link $link): bool
    {
        if (\strncmp($link->in, "\0RES", 4) !== 0) {
            $this->noPacket($link);
            return false;
        }
        ['type' => $type, 'size' => $size] = \unpack('Ntype/Nsize', $link->in, 4);
        $most = self::PACKETS[$type] ?? -1;
        if ($most < 0) {
            $this->lose($link, "the server sent a packet of type $type");
            return false;
        }
        $link->want = 12 + $size;
        if ($size > $most) {
            $this->lose($link, 'the server sent a packet of ' . $link->want . ' bytes');
            return false;
        }
        $link->cap = $size > self::CHUNK ? \min($this->maxData, self::room()) : $this->maxData;
        return true;
    }

    /** How large a workload may be that this process can hold: it is there twice for a moment, and more has to fit beside it. */
    private static function room(): int
    {
        $limit = \trim((string) \ini_get('memory_limit'));
        $bytes = (int) $limit << (['k' => 10, 'm' => 20, 'g' => 30][\strtolower(\substr($limit, -1))] ?? 0);
        return $bytes > 0 ? \intdiv(\max(0, $bytes - \memory_get_usage(true)), 3) : \PHP_INT_MAX;
    }

    private function noPacket(Link $link): void
    {
        $this->lose($link, $link->state === Link::REGISTERING
            ? 'what listens there is no Gearman job server' : 'the server sent something that is no packet');
    }

    /** Acts on the packet that has been read. */
    private function handle(Link $link): void
    {
        $type = \unpack('N', $this->packet, 4)[1];
        $link->unheard = null;
        switch ($type) {
            case Packet::JOB_ASSIGN_UNIQ:
            case Packet::JOB_ASSIGN:
                $this->assigned($link, $type);
                return;
            case Packet::NO_JOB:
                $this->noJob($link);
                return;
            case Packet::NOOP:
                if ($link->state === Link::ASLEEP) {
                    $this->wake($link);
                }
                return;
            case Packet::ECHO_RES:
                if ($link->state === Link::REGISTERING) {
                    $this->registered($link);
                } elseif ($link->confirms) {
                    $this->confirmed($link);
                }
                return;
            case Packet::ERROR: // of an answer that came too late, or was sent twice
            case Packet::OPTION_RES:
                return;
        }
    }

    private function registered(Link $link): void
    {
        $link->state = $this->hold === 0 ? Link::AWAKE : Link::HELD;
        $link->due = 0;
        $link->failures = 0;
        $link->told = '';
        $link->ready = true;
        $this->tellReady($link);
        if ($link->stale) {
            $this->update($link);
        }
    }

    /** The server has heard what we perform, of which it was told later than that we are there. */
    private function confirmed(Link $link): void
    {
        $link->confirms = false;
        if ($link->state === Link::HELD) {
            $link->due = 0;
        }
        $this->tellReady($link);
    }

    private function tellReady(Link $link): void
    {
        $this->control->event('ready', ['server' => $link->address] + ($link->registered ? ['registered' => true] : []));
    }

    private function noJob(Link $link): void
    {
        if ($link->state !== Link::ASKED) {
            $this->lose($link, 'the server answered a question that nobody asked');
            return;
        }
        if ($link->last) {
            $this->drop($link);
            return;
        }
        $link->parked = false;
        $link->due = 0;
        $link->state = $this->hold === 0 ? Link::AWAKE : Link::HELD;
        if ($link->stale) {
            $this->update($link);
        }
        if ($link->state !== Link::AWAKE) {
            return;
        }
        $link->out .= "\0REQ\0\0\0\4\0\0\0\0";
        $link->state = Link::ASLEEP;
        $link->slept = true;
        $link->due = \hrtime(true) + \random_int(\intdiv(self::POLL, 2), self::POLL);
        $this->flush($link, self::SILENCE);
    }

    /** A job that is over the cap: what is needed to answer it is taken, the rest is skipped. */
    private function tooLarge(Link $link): void
    {
        $type = \unpack('N', $link->in, 4)[1];
        if ($type !== Packet::JOB_ASSIGN_UNIQ || $link->state !== Link::ASKED) {
            $this->lose($link, 'the server sent a packet of ' . $link->want . ' bytes');
            return;
        }
        $head = \explode("\0", \substr($link->in, 12, self::MAX_HEAD), 4);
        if (\count($head) < 4) {
            $this->lose($link, 'the server sent a job without head');
            return;
        }
        $size = $link->want - 12 - \strlen($head[0]) - \strlen($head[1]) - \strlen($head[2]) - 3;
        $link->large = [$head[0], $head[1], $size];
    }

    /** Skips what has come of a packet that is too large; true when it is over. */
    private function skip(Link $link): bool
    {
        $length = \strlen($link->in);
        if ($length < $link->want) {
            $link->want -= $length;
            $link->in = '';
            return false;
        }
        $link->in = \substr($link->in, $link->want);
        $link->want = 0;
        [$handle, $function, $size] = $link->large;
        $link->large = null;
        $text = "workload of $size bytes is over the worker's limit of "
            . ($link->cap < $this->maxData ? $link->cap . ", for which its memory_limit has room" : $this->maxData);
        $link->out .= Packet::request(Packet::WORK_EXCEPTION, "$handle\0$text");
        $this->log(8, $text, $handle, $function);
        $this->count();
        $this->next($link);
        $this->record->skip();
        $this->over(true);
        return true;
    }

    /* Jobs. */

    private function assigned(Link $link, int $type): void
    {
        $packet = $this->packet; // a workload is there once, not twice, while it is performed
        $this->packet = '';
        if ($link->state !== Link::ASKED) {
            $this->lose($link, 'the server sent a job that nobody asked for');
            return;
        }
        if ($link->parked && $this->turn !== $link && $this->questionOpen() && !$this->leaving && !$this->resting) {
            $this->lose($link, 'a job came late, while another server was asked');
            return;
        }
        if ($type === Packet::JOB_ASSIGN_UNIQ) {
            $end = \strpos($packet, "\0", 12);
            $next = $end === false ? false : \strpos($packet, "\0", $end + 1);
            $last = $next === false ? false : \strpos($packet, "\0", $next + 1);
        } else {
            $end = \strpos($packet, "\0", 12);
            $next = $last = $end === false ? false : \strpos($packet, "\0", $end + 1);
        }
        if ($last === false || $end === 12 || $end - 12 > 64) {
            $this->lose($link, 'the server sent a job without head');
            return;
        }
        $handle = \substr($packet, 12, $end - 12);
        $function = \substr($packet, $end + 1, $next - $end - 1);
        $unique = $last === $next ? '' : \substr($packet, $next + 1, $last - $next - 1);
        $workload = \substr($packet, $last + 1);
        unset($packet);
        $this->perform($link, $handle, $function, $unique, $workload);
    }

    private function perform(Link $link, string $handle, string $function, string $unique, string $workload): void
    {
        $link->parked = false;
        if (!$this->busy) {
            $this->busy = true;
            $this->control->write("{\"event\":{\"busy\":{}}}\n");
        }
        $size = \strlen($workload);
        $crc = self::checksum($function, $unique, $workload);
        if ($this->record->standsElsewhere($link->index, $handle, $crc, $size) && !$this->awaitVerdict($link, $handle, $crc, $size)) {
            return;
        }
        $f = $this->functions[$function] ?? $this->former[$function] ?? null;
        $this->count();
        if ($this->suspects !== [] || $f === null || $size > $this->maxData) {
            $why = $this->refusal($link, $f !== null, $handle, $function, $crc, $size);
            if ($why !== null) {
                $link->out .= Packet::request(Packet::WORK_EXCEPTION, "$handle\0$why");
                $this->next($link);
                $this->record->skip();
                $this->over(true);
                return;
            }
        }
        $this->record->begin($link->index, (int) ($f['index'] ?? 0), $handle, $unique, $crc, $size);
        $job = $this->job = new Job($this, $link, $handle, $function, $unique, $workload);
        unset($workload);
        $this->slow = (int) ($f['slow_ms'] ?? 0) * 1000000;
        $this->began = \hrtime(true);
        $answer = $this->call($job, $f);
        $job->over();
        $this->finish($link, $job, $answer, $size, $crc);
        try {
            $job = null; // with what worker code has hung on it
        } catch (\Throwable $after) {
            $this->log(8, 'after the job: ' . located($after), $handle, $function);
        }
    }

    /**
     * Waits while a job stands in another's record. Mostly that worker died with it,
     * and a server gives the job to the next sooner than the manager knows: the
     * manager charges the job, tells everybody, and then clears the record. False if
     * the connection that the job came by is gone.
     */
    private function awaitVerdict(Link $link, string $handle, int $crc, int $size): bool
    {
        $until = \hrtime(true) + self::VERDICT;
        while (!$this->control->closed && $this->record->stillStands($link->index, $handle, $crc, $size) && \hrtime(true) < $until) {
            $read = [$this->control->stream];
            $write = $except = null;
            if (@\stream_select($read, $write, $except, 0, 1000)) {
                $this->listen();
            }
        }
        if (!$this->control->closed) {
            $this->listen(); // what was said before the record was cleared
        }
        return $link->stream !== null;
    }

    /** Calls what performs a job, and returns the packet that answers it, and whether it failed; '' if it was answered. */
    private function call(Job $job, array $f): array
    {
        $log = [];
        $this->overdue = false;
        $timeout = (int) ($f['timeout_ms'] ?? 0);
        $call = $f['call'];
        if ($timeout > 0 && $this->hasAlarm) {
            $this->alarmed = ($f['on_timeout'] ?? 0) ? 1 : 0;
            \pcntl_alarm(\intdiv($timeout + 999, 1000) + ($this->alarmed ? 10 : 0));
        }
        \restore_error_handler();
        $thrown = null;
        $result = '';
        $this->inUserCode = true;
        try {
            $result = $call($job, $log);
            if (!\is_string($result)) {
                $result = $result === null ? '' : (string) $result;
            }
        } catch (\Throwable $e) {
            [$result, $thrown] = ['', $e];
        }
        $this->inUserCode = false;
        if (\getmypid() !== $this->pid) {
            exit(0); // a process that the job has forked, and that returned from the job
        }
        \set_error_handler([self::class, 'ignore']);
        if ($timeout > 0 && $this->hasAlarm) {
            \pcntl_alarm(0);
        }
        $answer = null;
        try { // callbacks of output buffers and destructors are worker code, too
            while (\ob_get_level() > 0 && @\ob_end_flush()) {
                continue;
            }
            if ($log !== []) {
                $this->logLines($log, $job);
            }
            $answer = $this->answer($job, $f, $result, $thrown);
            $log = $thrown = $e = null;
        } catch (\Throwable $after) {
            $this->logThrown($after, $job, 'after the job: ');
        }
        return $answer ?? $this->answer($job, $f, $result, $thrown);
    }

    private function answer(Job $job, array $f, string $result, ?\Throwable $thrown): array
    {
        if ($thrown === null && $job->untouched() && \strlen($result) <= $this->maxData) {
            $size = \strlen($result);
            $handle = $job->handle();
            return ["\0REQ\0\0\0\r" . \pack('N', \strlen($handle) + 1 + $size) . $handle . "\0" . $result, false, $size];
        }
        [$answered, $failed, $sent] = $job->answered();
        if ($thrown instanceof JobTimeout) {
            $this->retire('timeout', $job->functionName() . ' ' . $job->handle() . ' ' . $thrown->getMessage());
        } elseif ($thrown !== null) {
            $this->logThrown($thrown, $job);
        }
        if ($answered) {
            return ['', $failed, $sent];
        }
        $handle = $job->handle();
        if ($thrown !== null) {
            $text = $thrown instanceof JobTimeout ? $thrown->getMessage() : located($thrown);
            return [Packet::request(Packet::WORK_EXCEPTION, "$handle\0$text"), true, 0];
        }
        $code = $job->returnCode();
        if ($code !== 0 && $code !== 2 && $code !== 3) { // success, and the two that end a loop of pecl/gearman
            return [Packet::request(Packet::WORK_FAIL, $handle), true, 0];
        }
        $size = \strlen($result);
        if ($size > $this->maxData) {
            $text = "result of $size bytes is over the worker's limit of {$this->maxData}";
            return [Packet::request(Packet::WORK_EXCEPTION, "$handle\0$text"), true, 0];
        }
        $length = \strlen($handle) + 1 + $size;
        return ["\0REQ\0\0\0\r" . \pack('N', $length) . $handle . "\0" . $result, false, $size];
    }

    /** Sends the answer of a job, and the next question with it. */
    private function finish(Link $link, Job $job, array $answer, int $size, int $crc): void
    {
        [$packet, $failed, $sent] = $answer;
        $alive = $link->stream !== null;
        $link->out .= $packet;
        unset($answer, $packet);
        $now = \hrtime(true);
        $took = $now - $this->began;
        if ($took > self::LOOK) {
            $this->job = null;
            $this->listen();
            if ($alive && \feof($link->stream)) { // the first write would seem to succeed
                $this->forget($link);
                $alive = false;
            }
        }
        $this->lastJob = $now;
        $this->job = $job; // so that a connection that breaks now is reported
        $delivered = $alive && $this->next($link);
        $this->job = null;
        if ($delivered) {
            $link->unheard = [$job->handle(), $job->functionName(), $job->unique(), $crc, $size];
        } else {
            $this->undelivered($link, $job->handle(), $job->functionName(), $job->unique(), $crc, $size);
            if ($link->state !== Link::DOWN && $link->state !== Link::GONE) {
                $this->lose($link, 'the connection broke while a job was performed');
            }
            $this->retireIfOver();
        }
        $this->record->end($failed, $sent);
        if ($this->nextRecord !== null) {
            $this->changeRecord();
        }
        if ($this->slow !== 0 && $took > $this->slow) {
            $this->wasSlow($link, $job, $took, $size, $crc, $failed);
        }
        if ($this->verbosity >= 3) {
            $this->logJob($job, $failed, $size, $sent, $took);
        }
        $this->over($failed);
    }

    private function wasSlow(Link $link, Job $job, int $took, int $size, int $crc, bool $failed): void
    {
        $this->control->event('slow_job', [
            'job' => self::jobId($link, $job->handle(), $job->unique(), $crc, $size), 'function' => $job->functionName(),
            'took_ms' => \intdiv($took, 1000000), 'workload_bytes' => $size, 'failed' => $failed,
        ]);
    }

    /** What the manager knows a job by. */
    private static function jobId(Link $link, string $handle, string $unique, int $crc, int $size): array
    {
        return ['server' => $link->address, 'handle' => $handle, 'hash' => self::hash($crc, $size), 'unique' => $unique];
    }

    /** Decides about the next question, and sends what is to be sent; false if the connection broke. */
    private function next(Link $link): bool
    {
        if ($link->stream === null) {
            return false;
        }
        $this->turnJobs++;
        $this->turn = $link;
        // It counts as asked until the decision is made: what is decided does not close it with the answer unsent.
        $this->retireIfOver();
        if ($this->leaving || $link->last) {
            $sent = $this->flush($link, self::LEAVE);
            if ($sent) {
                $this->drop($link);
            }
            $this->waitAgain();
            return $sent;
        }
        $link->state = $this->hold === 0 ? Link::AWAKE : Link::HELD;
        $link->due = 0;
        if ($link->stale) {
            $this->update($link);
            if ($link->stream === null) {
                return false;
            }
        }
        $now = \hrtime(true);
        if ($this->resting) {
            $this->restBy = $now + self::REST;
            $link->out .= Packet::request(Packet::ECHO_REQ, self::ECHO); // so that it is known when the answer was heard
        }
        if ($link->state !== Link::AWAKE || $this->turnOver($now) || $this->dies !== 0 && $now >= $this->dies) {
            return $this->flush($link, self::SILENCE);
        }
        $this->ask($link);
        return $link->stream !== null;
    }

    /** Rests or leaves after a job that was the last one, even if a higher limit has been set since that was said. */
    private function retireIfOver(): void
    {
        if ($this->maxMemory > 0 && ($memory = self::resident()) > $this->maxMemory) {
            $this->retire('max_memory', "$memory bytes resident, limit {$this->maxMemory}");
        }
        if ($this->retired || $this->maxRuns > 0 && $this->begun >= $this->maxRuns) {
            $this->retire('max_runs', $this->maxRuns . ' jobs');
        }
    }

    /** Gives servers that are left their time anew, after a job that one of them had for us. */
    private function waitAgain(): void
    {
        $this->leaveBy = \hrtime(true) + self::LEAVE;
        foreach ($this->links as $link) {
            if ($link->last) {
                $link->due = $this->leaveBy;
            }
        }
    }

    private function count(): void
    {
        $this->begun++;
        if ($this->begun === $this->maxRuns && !$this->retired) {
            // Said now, so that a successor is there when this job is done.
            $this->retired = true;
            $this->control->event('retiring', ['reason' => 'max_runs', 'detail' => $this->maxRuns . ' jobs']);
        }
    }

    private function over(bool $failed): void
    {
        $this->done++;
        if ($failed) {
            $this->failed++;
        }
    }

    private function undelivered(Link $link, string $handle, string $function, string $unique, int $crc, int $size): void
    {
        $this->control->event('undelivered', [
            'job' => self::jobId($link, $handle, $unique, $crc, $size),
            'function' => $function,
            'error' => 'the connection to the job server is closed',
        ]);
    }

    /** What a job is known by beside server and handle, see package jobrecord. */
    private static function checksum(string $function, string $unique, string $workload): int
    {
        if (\strlen($workload) < 65536) {
            return \crc32("$function\0$unique\0$workload");
        }
        $hash = \hash_init('crc32b');
        \hash_update($hash, "$function\0$unique\0");
        \hash_update($hash, $workload);
        return (int) \hexdec(\hash_final($hash));
    }

    private static function hash(int $crc, int $size): string
    {
        return \sprintf('%u', ($size & 0xffffffff) << 32 | $crc);
    }

    /** Why a job is not performed but answered with an exception; null if it is performed. */
    private function refusal(Link $link, bool $known, string $handle, string $function, int $crc, int $size): ?string
    {
        if (!$known) {
            return "this worker does not perform \"$function\"";
        }
        if ($size > $this->maxData) {
            return "workload of $size bytes is over the worker's limit of {$this->maxData}";
        }
        $suspect = $this->suspects[$link->address . "\0" . $handle . "\0" . self::hash($crc, $size)] ?? null;
        if ($suspect === null || empty($suspect['fail'])) {
            return null;
        }
        return (string) ($suspect['cause'] ?? '');
    }

    /** Resident bytes of this process, 0 where the system does not say. */
    private static function resident(): int
    {
        // Anonymous pages: what files and opcache share among workers is not this one's doing.
        $found = \preg_match('/^RssAnon:\s+(\d+) kB/m', (string) @\file_get_contents('/proc/self/status'), $match);
        return $found ? (int) $match[1] * 1024 : 0;
    }

    /* Ends that nobody planned. */

    /** SIGALRM: the job in hand is over its timeout. */
    public function alarm(): void
    {
        if (!$this->inUserCode) {
            $this->overdue = $this->job !== null;
            return;
        }
        $this->overdue = false;
        if ($this->alarmed > 0) { // it did not heed, or is to be run again by another
            if (\function_exists('posix_kill')) {
                \posix_kill(\getmypid(), \SIGKILL);
            }
            LastWords::then(null); // as little as a process that is killed
            exit(255);
        }
        $this->alarmed = 1;
        \pcntl_alarm(10); // where the manager is dead, nobody else ends it
        $f = $this->functions[$this->job->functionName()] ?? [];
        throw new JobTimeout('timed out after ' . (int) ($f['timeout_ms'] ?? 0) / 1000 . 's');
    }

    /** exit(), or an error that PHP does not survive, in a job or between two. */
    public function endedInJob(string $message, string $file, int $line, bool $fatal): void
    {
        $this->inUserCode = false;
        \set_error_handler([self::class, 'ignore']);
        if ($this->hasAlarm) {
            \pcntl_alarm(0);
        }
        $job = $this->job;
        $this->job = null;
        $text = $file === '' ? $message : "$message in $file:$line";
        $this->log(8, ($fatal ? 'PHP ended with a fatal error: ' : 'the process is ended by worker code: ') . $text, $job);
        $useless = $job === null && $this->begun === 0 && !$this->retired; // a successor would end in the same way
        if (!$this->retired && !$useless) {
            $this->retired = true;
            $this->control->event('retiring', ['reason' => $fatal ? 'fatal error' : 'exit', 'detail' => $text]);
        }
        if ($this->writing !== null) {
            // Nothing can follow half a packet. A job that is in hand goes back to the queue, and its record says so.
            $this->forget($this->writing);
        } elseif ($job !== null) {
            $this->answerLast($job, $text);
        }
        $this->leaving = true;
        foreach ($this->links as $link) {
            $this->drop($link);
        }
        if (!$useless) {
            $this->left();
        }
    }

    private function answerLast(Job $job, string $text): void
    {
        [$answered, $failed, $sent] = $job->answered();
        if (!$answered) {
            $job->sendException($text);
            $failed = true;
        }
        $this->record->end($failed, $sent);
        $took = \hrtime(true) - $this->began;
        if ($this->slow !== 0 && $took > $this->slow) {
            $workload = $job->workload();
            $crc = self::checksum($job->functionName(), $job->unique(), $workload);
            $this->wasSlow($job->link(), $job, $took, \strlen($workload), $crc, $failed);
        }
        $this->over($failed);
        $job->over();
    }

    /* Logging. */

    /** @param Job|string|null $job the job, or its handle */
    private function log(int $level, string $message, $job = null, string $function = '', array $attributes = []): void
    {
        $fields = ['level' => $level, 'message' => $message];
        if ($job instanceof Job) {
            $fields += ['handle' => $job->handle(), 'function' => $job->functionName()];
        } elseif ($job !== null) {
            $fields += ['handle' => $job, 'function' => $function];
        }
        if ($attributes !== []) {
            $fields['attributes'] = $attributes;
        }
        $this->control->event('log', $fields);
    }

    /** Logs what worker code has put into $log. */
    private function logLines($log, Job $job): void
    {
        foreach ((array) $log as $line) {
            if (!\is_scalar($line)) {
                foreach (\explode("\n", \trim(\print_r($line, true))) as $part) {
                    $this->log(0, $part, $job);
                }
                continue;
            }
            $line = (string) $line;
            $this->log(0, \strlen($line) > self::LOG_LINE ? \substr($line, 0, self::LOG_LINE) . '...(truncated)' : $line, $job);
        }
    }

    private function logThrown(\Throwable $thrown, Job $job, string $what = 'job failed: '): void
    {
        $this->log(8, $what . located($thrown), $job, '', ['trace', self::trace($thrown)]);
    }

    /** The trace of an exception down to the worker's function, without what called that. */
    private static function trace(\Throwable $thrown): string
    {
        $lines = \explode("\n", $thrown->getTraceAsString());
        $last = \count($lines) - 1;
        while ($last > 0 && (\strpos($lines[$last], '#') !== 0 || \strpos($lines[$last], '): GearmanManager\\Bridge\\') !== false
            || \strpos($lines[$last], ' {main}') !== false || \strpos($lines[$last], 'Standard input code(') !== false)) {
            $last--;
        }
        return \implode("\n", \array_slice($lines, 0, $last + 1));
    }

    private function logJob(Job $job, bool $failed, int $in, int $out, int $nanoseconds): void
    {
        $this->log(0, $failed ? 'job failed' : 'job done', $job, '', [
            'bytes_in', (string) $in, 'bytes_out', (string) $out, 'took_ms', (string) \round($nanoseconds / 1e6, 3),
        ]);
    }
}

/** A throwable in a line: class, message. */
function describe(\Throwable $e): string
{
    return $e instanceof \ParseError ? $e->getMessage() : \get_class($e) . ': ' . $e->getMessage();
}

/** The same, with where it was thrown. */
function located(\Throwable $e): string
{
    return describe($e) . ' in ' . $e->getFile() . ':' . $e->getLine();
}

/**
 * Loads worker files, and says what is wrong with each. A file that ends the
 * process is told of by its last words; the manager goes on behind it.
 */
function inspect(Control $control, array $files): void
{
    $library = new Library();
    foreach ($files as $source) {
        $function = functionOf($source);
        $found = ['function' => $function, 'file' => (string) ($source['file'] ?? ''), 'error' => '', 'in' => '', 'line' => 0];
        LastWords::then(static function (string $message, string $file, int $line) use ($control, $found) {
            $found = ['error' => $message, 'in' => $file ?: $found['file'], 'line' => $line] + $found;
            $control->send(['inspected' => $found]);
        });
        try {
            $library->load($function, $source);
        } catch (LoadError $e) {
            $found = ['error' => $e->getMessage(), 'in' => $e->in, 'line' => $e->at] + $found;
        }
        LastWords::then(null);
        $control->send(['inspected' => $found]);
    }
}

/** Is what the manager says: a worker or an inspector. */
function serve(string $socket, string $id): void
{
    $control = Control::connect($socket);
    if ($control === null) {
        return;
    }
    $control->send(['id' => $id, 'pid' => \getmypid()]);
    LastWords::arm();
    foreach ($control->wait() as $message) {
        if (isset($message['inspect'])) {
            title('gearman-manager: php inspector');
            if (empty($message['inspect']['warm'])) {
                @\ini_set('opcache.enable', '0'); // the disk counts, and nothing is kept for the processes that are forked later
            }
            inspect($control, $message['inspect']['files'] ?? []);
            return;
        }
        if (isset($message['run'])) {
            title('gearman-manager: ' . ($message['run']['worker'] ?? ''));
            $worker = new Worker($control, $message['run']);
            $worker->run($message['run']);
            return;
        }
    }
}

/** Makes files of a forked process its descriptors 0, 1 and 2, and the constants that scripts expect. */
function redirect(string $stdout, string $stderr): void
{
    // The first stream that is opened on each of these is the descriptor itself, not a copy.
    foreach (['php://stdin' => ['STDIN', '/dev/null', 'r'], 'php://stdout' => ['STDOUT', $stdout, 'w'], 'php://stderr' => ['STDERR', $stderr, 'w']] as $old => $new) {
        \fclose(\fopen($old, $new[2]));
        // A FIFO that nobody reads, since the manager is dead, must not hold up.
        $stream = @\fopen($new[1], $new[2] . 'n') ?: \fopen('/dev/null', $new[2]);
        \stream_set_blocking($stream, true);
        \define($new[0], $stream);
    }
    if ((string) \ini_get('error_log') === '') {
        // PHP writes messages to a stream of C, which was closed with the descriptor.
        \ini_set('error_log', $stderr);
        \ini_set('log_errors', '1');
    }
    \ini_set('display_errors', '0');
}

/** Whether workers can be forked here. */
function forks(): bool
{
    return \function_exists('pcntl_fork') && \function_exists('pcntl_waitpid') && \function_exists('posix_kill');
}

/**
 * The parent: forks when it is told to, and goes when the manager goes.
 */
function serveForks(string $socket, string $id): void
{
    $control = Control::connect($socket);
    if ($control === null) {
        return;
    }
    $control->send(['parent' => [
        'id' => $id, 'php' => \PHP_VERSION, 'pid' => \getmypid(), 'pcntl' => forks(), 'gearman' => \extension_loaded('gearman'),
        'opcache' => \function_exists('opcache_get_status') && (bool) \ini_get('opcache.enable_cli'), 'sapi' => \PHP_SAPI,
    ]]);
    title('gearman-manager: php');
    while (!$control->closed) {
        foreach ($control->wait() as $message) {
            if (isset($message['fork'])) {
                if (fork($control, $message['fork'])) {
                    unset($control);
                    serve($socket, (string) $message['fork']['id']);
                    return;
                }
            } elseif (isset($message['preload'])) {
                preload($control, $message['preload']);
            }
        }
    }
    readOut(\dirname($socket));
}

/**
 * Reads what workers still print after the manager's death, until they are gone: PHP
 * opens its error log for each message, and a FIFO that nobody reads would hold up
 * the job in hand for ever. Those of other parents, which may have ended before, are
 * among them.
 */
function readOut(string $dir): void
{
    $streams = [];
    foreach (@\scandir($dir) ?: [] as $name) {
        $stream = \substr($name, -4) === '.err' ? @\fopen("$dir/$name", 'rn') : false;
        if ($stream !== false) {
            $streams[] = $stream;
        }
    }
    $read = $streams; // of one that nobody had open any more select would not tell
    while ($streams !== []) {
        foreach ($read as $key => $stream) {
            @\fread($stream, 65536);
            if (\feof($stream)) { // nobody has it open
                unset($streams[$key]);
            }
        }
        $read = $streams;
        $write = $except = null;
        if ($read !== [] && !@\stream_select($read, $write, $except, null)) {
            return;
        }
    }
}

/** Forks a process that becomes the manager's own child; true in that process. */
function fork(Control $control, array $order): bool
{
    $id = (string) ($order['id'] ?? '');
    $pair = \stream_socket_pair(\STREAM_PF_UNIX, \STREAM_SOCK_STREAM, 0);
    if ($pair === false) {
        $control->send(['not_forked' => $id, 'error' => 'it could not make a socket']);
        return false;
    }
    $middle = \pcntl_fork();
    if ($middle === 0) {
        $pid = \pcntl_fork();
        if ($pid < 0) {
            \pcntl_signal(\SIGTERM, \SIG_DFL);
            \posix_kill(\getmypid(), \SIGTERM); // as below, but not for that
        }
        if ($pid !== 0) {
            \fwrite($pair[1], (string) $pid);
            \posix_kill(\getmypid(), \SIGKILL); // without destructors and shutdown functions
        }
        if (\function_exists('posix_setpgid')) {
            @\posix_setpgid(0, 0); // so as not to die with the parent's group; the manager does it otherwise
        }
        \array_map('fclose', [$control->stream, $pair[0], $pair[1]]);
        redirect((string) ($order['stdout'] ?? '/dev/null'), (string) ($order['stderr'] ?? '/dev/null'));
        title((string) ($order['title'] ?? ''));
        return true;
    }
    \fclose($pair[1]);
    if ($middle < 0) {
        $control->send(['not_forked' => $id, 'error' => \pcntl_strerror(\pcntl_get_last_error())]);
        return false;
    }
    \pcntl_waitpid($middle, $status);
    $killed = \pcntl_wifsignaled($status) && \pcntl_wtermsig($status) === \SIGKILL;
    if ($killed && ($pid = (int) \fread($pair[0], 20)) > 0) {
        $control->send(['forked' => $id, 'pid' => $pid]);
    } else {
        $control->send(['not_forked' => $id, 'error' => 'it could once, but not twice, as at a limit of processes']);
    }
    return false;
}

/** Loads the worker files once for all processes that are forked from now on. */
function preload(Control $control, array $files): void
{
    $library = new Library();
    LastWords::arm();
    LastWords::then(static function (string $message, string $file, int $line) use ($control) {
        $control->send(['not_preloaded' => $file === '' ? $message : "$message in $file:$line"]);
    });
    try {
        foreach ($files as $source) {
            $library->load(functionOf($source), $source);
        }
        $control->send(['preloaded' => true]);
    } catch (LoadError $e) {
        $control->send(['not_preloaded' => $e->getMessage() . " in {$e->in}:{$e->at}"]);
    }
    LastWords::then(null);
}

function title(string $title): void
{
    if ($title !== '' && \function_exists('cli_set_process_title')) {
        @\cli_set_process_title($title);
    }
}

/** The function that a file performs has the file's name. */
function functionOf(array $source): string
{
    return \basename((string) ($source['file'] ?? ''), '.php');
}

/** Defines what pecl/gearman gives to worker code beside its client and worker, where it is not loaded. */
function standIn(): void
{
    \class_alias(Job::class, 'GearmanJob');
    \class_alias(GearmanException::class, 'GearmanException');
    // Names without their GEARMAN_, and values, as pecl/gearman 2.1 has them.
    $constants = '
        DEFAULT_TCP_HOST=localhost DEFAULT_TCP_PORT=4730 DEFAULT_SOCKET_TIMEOUT=10 DEFAULT_SOCKET_SEND_SIZE=32768
        DEFAULT_SOCKET_RECV_SIZE=32768 MAX_ERROR_SIZE=2048 PACKET_HEADER_SIZE=12 JOB_HANDLE_SIZE=64 OPTION_SIZE=64
        UNIQUE_SIZE=64 MAX_COMMAND_ARGS=8 ARGS_BUFFER_SIZE=128 SEND_BUFFER_SIZE=8192 RECV_BUFFER_SIZE=8192
        WORKER_WAIT_TIMEOUT=10000 SUCCESS=0 IO_WAIT=1 SHUTDOWN=2 SHUTDOWN_GRACEFUL=3 ERRNO=4 EVENT=5 TOO_MANY_ARGS=6
        NO_ACTIVE_FDS=7 INVALID_MAGIC=8 INVALID_COMMAND=9 INVALID_PACKET=10 UNEXPECTED_PACKET=11 GETADDRINFO=12
        NO_SERVERS=13 LOST_CONNECTION=14 MEMORY_ALLOCATION_FAILURE=15 JOB_EXISTS=16 JOB_QUEUE_FULL=17 SERVER_ERROR=18
        WORK_ERROR=19 WORK_DATA=20 WORK_WARNING=21 WORK_STATUS=22 WORK_EXCEPTION=23 WORK_FAIL=24 NOT_CONNECTED=25
        COULD_NOT_CONNECT=26 SEND_IN_PROGRESS=27 RECV_IN_PROGRESS=28 NOT_FLUSHING=29 DATA_TOO_LARGE=30
        INVALID_FUNCTION_NAME=31 INVALID_WORKER_FUNCTION=32 NO_REGISTERED_FUNCTIONS=34 NO_JOBS=35
        ECHO_DATA_CORRUPTION=36 NEED_WORKLOAD_FN=37 PAUSE=38 UNKNOWN_STATE=39 PTHREAD=40 PIPE_EOF=41 QUEUE_ERROR=42
        FLUSH_DATA=43 SEND_BUFFER_TOO_SMALL=44 IGNORE_PACKET=45 UNKNOWN_OPTION=46 TIMEOUT=47 MAX_RETURN=53
        VERBOSE_FATAL=1 VERBOSE_ERROR=2 VERBOSE_INFO=3 VERBOSE_DEBUG=4 VERBOSE_CRAZY=5 VERBOSE_MAX=6 NON_BLOCKING=0
        DONT_TRACK_PACKETS=1 CON_READY=0 CON_PACKET_IN_USE=1 CON_EXTERNAL_FD=2 CON_IGNORE_LOST_CONNECTION=3
        CON_CLOSE_AFTER_FLUSH=4 CON_SEND_STATE_NONE=0 CON_RECV_STATE_READ_DATA=2 COMMAND_TEXT=0 COMMAND_CAN_DO=1
        COMMAND_CANT_DO=2 COMMAND_RESET_ABILITIES=3 COMMAND_PRE_SLEEP=4 COMMAND_UNUSED=5 COMMAND_NOOP=6
        COMMAND_SUBMIT_JOB=7 COMMAND_JOB_CREATED=8 COMMAND_GRAB_JOB=9 COMMAND_NO_JOB=10 COMMAND_JOB_ASSIGN=11
        COMMAND_WORK_STATUS=12 COMMAND_WORK_COMPLETE=13 COMMAND_WORK_FAIL=14 COMMAND_GET_STATUS=15 COMMAND_ECHO_REQ=16
        COMMAND_ECHO_RES=17 COMMAND_SUBMIT_JOB_BG=18 COMMAND_ERROR=19 COMMAND_STATUS_RES=20 COMMAND_SUBMIT_JOB_HIGH=21
        COMMAND_SET_CLIENT_ID=22 COMMAND_CAN_DO_TIMEOUT=23 COMMAND_ALL_YOURS=24 COMMAND_WORK_EXCEPTION=25
        COMMAND_OPTION_REQ=26 COMMAND_OPTION_RES=27 COMMAND_WORK_DATA=28 COMMAND_WORK_WARNING=29
        COMMAND_GRAB_JOB_UNIQ=30 COMMAND_JOB_ASSIGN_UNIQ=31 COMMAND_SUBMIT_JOB_HIGH_BG=32 COMMAND_SUBMIT_JOB_LOW=33
        COMMAND_SUBMIT_JOB_LOW_BG=34 COMMAND_SUBMIT_JOB_SCHED=35 COMMAND_SUBMIT_JOB_EPOCH=36 COMMAND_MAX=43
        TASK_STATE_NEW=0 TASK_STATE_SUBMIT=1 TASK_STATE_WORKLOAD=2 TASK_STATE_WORK=3 TASK_STATE_CREATED=4
        TASK_STATE_DATA=5 TASK_STATE_WARNING=6 TASK_STATE_STATUS=7 TASK_STATE_COMPLETE=8 TASK_STATE_EXCEPTION=9
        TASK_STATE_FAIL=10 TASK_STATE_FINISHED=11 JOB_PRIORITY_HIGH=0 JOB_PRIORITY_NORMAL=1 JOB_PRIORITY_LOW=2
        JOB_PRIORITY_MAX=3 CLIENT_ALLOCATED=1 CLIENT_NON_BLOCKING=2 CLIENT_TASK_IN_USE=4 CLIENT_UNBUFFERED_RESULT=8
        CLIENT_NO_NEW=16 CLIENT_FREE_TASKS=32 CLIENT_STATE_IDLE=0 CLIENT_STATE_NEW=1 CLIENT_STATE_SUBMIT=2
        CLIENT_STATE_PACKET=3 WORKER_ALLOCATED=1 WORKER_NON_BLOCKING=2 WORKER_PACKET_INIT=4 WORKER_GRAB_JOB_IN_USE=8
        WORKER_PRE_SLEEP_IN_USE=16 WORKER_WORK_JOB_IN_USE=32 WORKER_CHANGE=64 WORKER_GRAB_UNIQ=128
        WORKER_TIMEOUT_RETURN=256 WORKER_STATE_START=0 WORKER_STATE_FUNCTION_SEND=1 WORKER_STATE_CONNECT=2
        WORKER_STATE_GRAB_JOB_SEND=3 WORKER_STATE_GRAB_JOB_RECV=4 WORKER_STATE_PRE_SLEEP=5
    ';
    foreach (\preg_split('/\s+/', \trim($constants)) as $constant) {
        [$name, $value] = \explode('=', $constant);
        if (!\defined("GEARMAN_$name")) {
            \define("GEARMAN_$name", \is_numeric($value) ? (int) $value : $value);
        }
    }
}

/** The exception of pecl/gearman, where it is not loaded. */
class GearmanException extends \Exception
{
}

if (!\extension_loaded('gearman')) {
    standIn();
}
switch ($argv[1] ?? '') {
    case 'parent':
        serveForks((string) ($argv[2] ?? ''), (string) ($argv[3] ?? ''));
        break;
    case 'worker':
        if ((string) \ini_get('error_log') === '') {
            \ini_set('log_errors', '1'); // to standard error
        }
        \ini_set('display_errors', '0'); // which would say all of it again
        serve((string) ($argv[2] ?? ''), (string) ($argv[3] ?? ''));
        break;
    default:
        \fwrite(\STDERR, "This file is started by gearman-manager.\n");
        exit(2);
}
