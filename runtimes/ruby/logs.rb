# What functions log with: `puts`, and `Logger` on standard output, each time one event of the log. `print` and the streams are raw.
require "logger"

module Lambent
  # A log device that is the control socket.
  module LogSink
    def self.write(text)
      CONTROL.log(text)
    end

    def self.close; end
  end

  class TextFormatter < Logger::Formatter
    def call(severity, time, progname, message)
      format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], format_datetime(time), Process.pid, severity, $_global_aws_request_id, progname, msg2str(message))
    end
  end

  class JsonFormatter < Logger::Formatter
    def call(severity, time, progname, message)
      event = {
        timestamp: time.utc.strftime("%Y-%m-%dT%H:%M:%S.%6NZ"),
        level: severity,
        message: text_of(message.is_a?(Exception) ? message.message : msg2str(message)),
        requestId: $_global_aws_request_id,
        logger: progname && text_of(progname)
      }
      event.merge!(exception(message)) if message.is_a?(Exception)
      "#{JSON.generate(event.compact)}\n"
    end

    private

    def exception(error)
      frames = (error.backtrace || []).map { |frame| text_of(frame) }
      { errorType: error.class.to_s, errorMessage: text_of(error.message), stackTrace: frames, location: location(frames.first) }
    end

    # `file:method:line`
    def location(frame)
      file, line, method = frame&.match(/\A(.+):(\d+):in [`'](.+)'\z/)&.captures
      file.nil? ? frame : "#{file}:#{method}:#{line}"
    end

    def text_of(value)
      value.to_s.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end
  end

  # A logger on standard output or error logs events that have the request's id; its level is the function's where it is given none.
  module LoggerOfFunctions
    LEVELS = { "TRACE" => "DEBUG" }.freeze

    def initialize(device = nil, *rest, **options)
      return super unless [nil, $stdout, $stderr].include?(device)

      is_json = ENV["AWS_LAMBDA_LOG_FORMAT"].to_s.upcase == "JSON"
      level = is_json ? ENV.fetch("AWS_LAMBDA_LOG_LEVEL", "DEBUG").upcase : "DEBUG"
      super(LogSink, *rest, level: LEVELS.fetch(level, level), **options)
      @default_formatter = is_json ? JsonFormatter.new : TextFormatter.new
      @default_formatter.datetime_format = options[:datetime_format]
    end
  end
end

Logger.prepend(Lambent::LoggerOfFunctions)

module Kernel
  # One event, of however many lines.
  def puts(*values)
    text = values.flatten.map { |value| value.to_s.encode(Encoding::UTF_8, invalid: :replace, undef: :replace) }.join("\n")
    Lambent::CONTROL.log(text.end_with?("\n") ? text : "#{text}\n")
    nil
  end
end
