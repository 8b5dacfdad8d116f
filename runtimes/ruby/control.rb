# Frames of the control socket: u32 length, u8 type, u32 length of head, head (JSON), body.
module Lambent
  class Control
    PREFIX_BYTES = 9

    def initialize(descriptor)
      @input = IO.for_fd(descriptor, "rb", autoclose: false)
      @output = IO.for_fd(descriptor, "wb", autoclose: false)
      @output.sync = true
      @output.close_on_exec = true
      # Log events may come from any thread.
      @lock = Mutex.new
    end

    # The text of the boot frame's head, and whether this process was asked to wait for it.
    def receive_boot
      was_waiting = false
      loop do
        kind, head, = receive
        return [head, was_waiting] unless kind == "P"

        was_waiting = true
        write(frame("W", "{}", ""))
      end
    end

    # Type, text of the head, body. The end of the socket is the end of the process, whatever its threads do.
    def receive
      length, kind, head_bytes = take(PREFIX_BYTES).unpack("NaN")
      head = take(head_bytes).force_encoding(Encoding::UTF_8)
      [kind, head, take(length - 5 - head_bytes).force_encoding(Encoding::UTF_8)]
    end

    def send(kind, head = {}, body = "")
      write(frame(kind, JSON.generate(head), body))
    end

    def log(text)
      text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
      send("L", { timestampMs: Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond) }, text.scrub)
    end

    private

    def take(size)
      bytes = @input.read(size)
      exit!(0) if bytes.nil? || bytes.bytesize < size
      bytes
    rescue Errno::ECONNRESET
      exit!(0)
    end

    def frame(kind, head, body)
      [5 + head.bytesize + body.bytesize, kind, head.bytesize].pack("NaN") + head.b + body.b
    end

    def write(bytes)
      @lock.synchronize { @output.write(bytes) }
    rescue ThreadError
      write_in_trap(bytes)
    rescue Errno::EPIPE, Errno::ECONNRESET
      exit!(0)
    end

    # A signal's handler may not wait for a lock, which the very thread that it interrupts may hold.
    def write_in_trap(bytes)
      return Thread.new { write(bytes) } unless @lock.try_lock

      begin
        @output.write(bytes)
      ensure
        @lock.unlock
      end
    end
  end
end
