# Failures as AWS's Ruby runtime reports them.
module Lambent
  module Failures
    FRAMES_MAX = 100

    # `Function<RuntimeError>`, or `Init<…>`.
    def self.document_of(error, classification)
      {
        errorMessage: text_of(error.message),
        errorType: "#{classification}<#{error.class}>",
        stackTrace: frames_of(error).map { |frame| text_of(frame.to_s) }
      }
    end

    # Those of the bootstrap, and what is below it, are left out.
    def self.frames_of(error)
      (error.backtrace_locations || []).first(FRAMES_MAX).take_while { |frame| !frame.path.start_with?("#{__dir__}/") }
    end

    # JSON can't say everything that an exception may hold.
    def self.text_of(text)
      text.to_s.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end
  end
end
