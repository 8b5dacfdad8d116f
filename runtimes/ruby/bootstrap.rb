# The first process of a Ruby sandbox: takes invocations from the control socket, runs the handler, answers. See ../README.md.
#
# No gem is loaded before the function's own code is there, which may bring a newer one of the same name: json and logger are gems.
require_relative "control"

module Lambent
  CONTROL = Control.new(3)

  class Runtime
    RESPONSE_BYTES_MAX = 6_291_556
    # What AWS's runtime ends with: after an exception that no handler should live on after, and after one outside of any handler.
    CRITICAL_STATUS = -1
    INIT_STATUS = -4

    def run
      $stdout.sync = $stderr.sync = true
      boot(*CONTROL.receive_boot)
      loop { invoke(*next_invocation) }
    end

    private

    def boot(head_text, was_waiting)
      Gem.clear_paths if was_waiting && defined?(Gem)
      load_libraries
      head = JSON.parse(head_text)
      ENV.update(head["variables"])
      enter(ENV.fetch("LAMBDA_TASK_ROOT", "/var/task"))
      @handler = LambdaHandler.new(env_handler: head["handler"])
      require @handler.handler_file_name
      CONTROL.send("R")
    rescue Exception => error # which includes what the function's file raises, of whatever kind
      document = report(error, "Init", "Init error when loading handler ")
      CONTROL.send("F", { errorType: document[:errorType] }, JSON.generate(document))
      exit(INIT_STATUS)
    end

    def load_libraries
      require "json"
      require "stringio"
      require_relative "logs"
      require_relative "handler"
      # AWS's runtime has loaded these, so functions do without a require; their cost is for who uses them.
      Object.autoload(:Net, "net/http")
      Object.autoload(:URI, "uri")
    end

    # What was mounted since the process started is found by entering it again.
    def enter(root)
      Dir.chdir(root)
      $LOAD_PATH.unshift(root) unless $LOAD_PATH.include?(root)
    end

    def next_invocation
      kind, head, body = CONTROL.receive
      raise "a frame of kind #{kind}" unless kind == "I"

      [JSON.parse(head), body]
    rescue SignalException => signal
      puts "Next invocation HTTP request from the runtime interface client was interrupted with a #{signal} SIGNAL, gracefully shutting down."
      exit 0
    end

    def invoke(head, body)
      $_global_aws_request_id = head["requestId"]
      ENV["_X_AMZN_TRACE_ID"] = head["traceHeader"]
      answer(head["requestId"], *response_to(RawRequest.new(head, body)))
    end

    # AWS's runtime takes what fails here for an error of the initialisation, which the Runtime API does not take any more.
    def response_to(raw)
      event = AwsLambda::Marshaller.marshall_request(raw)
      context = LambdaContext.new(raw)
    rescue StandardError => error
      report(error, "Init", "Init error when loading handler ")
      exit(INIT_STATUS)
    else
      call(event, context)
    end

    def call(event, context)
      response, content_type = @handler.call_handler(request: event, context: context)
      payload = content_type == "application/unknown" ? response.read : response
      payload.bytesize > RESPONSE_BYTES_MAX ? too_large : ["S", {}, payload]
    rescue NameError => error
      failure(error, isCritical: true)
    rescue StandardError => error
      failure(error, isCritical: false)
    rescue Exception => error
      failure(error, isCritical: true)
    end

    def too_large
      type = "Function.ResponseSizeTooLarge"
      text = "Response payload size exceeded maximum allowed payload size (#{RESPONSE_BYTES_MAX} bytes)."
      ["E", { errorType: type }, JSON.generate({ errorType: type, errorMessage: text })]
    end

    def failure(error, isCritical:)
      document = report(error, "Function", isCritical ? "Critical exception from handler" : "Error raised from handler method")
      ["E", { errorType: document[:errorType], exits: isCritical || nil }.compact, JSON.generate(document)]
    end

    # Logs it as AWS's runtime does, and returns its document.
    def report(error, classification, title)
      require_relative "failures"
      document = Failures.document_of(error, classification)
      puts title
      puts JSON.pretty_generate(document)
      document
    end

    def answer(request_id, kind, head, payload)
      [$stdout, $stderr].each { |stream| stream.flush unless stream.closed? }
      CONTROL.send(kind, { requestId: request_id, **head }, payload)
      exit(CRITICAL_STATUS) if head[:exits]
    end
  end
end

Lambent::Runtime.new.run
